// Package audit proves that no cache lies, or shows where one does: a client of the finished site that changes photos,
// looks at them through every edge, and knows from Postgres what it must see.
//
// In flow addresses of edges, a pool on the database, a connection to the bus, and a list of things to break meanwhile;
// out flows a [Report]. The auditor owns some users of the database, and nobody else may write to them. Each of their
// photos' titles is a marker, "audit 123.45" for the 45th title of photo 123, so that what a body shows can be read
// without understanding it, and every answer says in X-Depends which versions it was made from. Of each write is known
// when it was begun, when it was acknowledged, and which version of its owner it raised; so the truth of an answer that
// says user.ansel=18 is the state of ansel's rows at exactly 18. What is held against it:
//
//	label  what an answer shows is the state at the versions it names: all of it, and nothing else
//	fresh  it names no version that was overtaken by a write acknowledged longer ago than the bound
//	gone   it shows nothing that was deleted or made private longer ago than the bound, not even marked as stale
//	back   one visitor of one edge never sees a scope's version fall
//	own    who carries the signed cookie of a write sees it at once, through any edge
//
// An answer is held against the writes only once every write to its users that was begun before it ended has its
// outcome, so the verdict does not depend on which was heard of first. What waits for that is bounded: when the
// checkers fall behind, the observers wait.
//
// All draws come from one seed, so that the same decisions are made again, though not in the same instant. It knows
// nothing of how the roles work: what it knows are paths, headers, subjects and tables, and of the edges' metrics the
// one that says how soon they knew of changes. Only main and tests use it.
package audit

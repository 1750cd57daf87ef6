// Package audit checks that no cache serves a page that is older than promised, or reports where one does. It is a
// client of the finished site: it changes photos, requests their pages through every edge, and knows from Postgres what
// each page must show.
//
// **Input**: addresses of edges, a pool on the database, a connection to the bus, faults to inject. **Output**: a
// [Report]. **Must not touch**: the roles' code. It knows paths, headers, subjects and tables, and two metrics of the
// edges. Only ops/cli and tests import it.
//
// The audit takes over some users; nobody else may write to them meanwhile. The title of each of their photos is a
// marker: "audit 123.45" is the 45th title of photo 123. So a body can be checked without parsing HTML, and X-Depends
// says which versions an answer was made from. Of each write the audit knows when it began, when it was acknowledged,
// and which version of its owner it raised. So an answer that depends on user.ansel=18 must show ansel's rows as they
// were at version 18. The rules:
//
//	label  an answer shows the state at the versions that it names: all of it, and nothing else
//	fresh  it names no version that a write overtook, if the write was acknowledged longer ago than the bound
//	gone   it shows nothing that was deleted or made private longer ago than the bound, not even marked as stale; nor
//	       is the address of a picture that was one before
//	back   one visitor of one edge never sees the version of a scope fall
//	own    a visitor with the signed cookie of a write sees that write at once, through any edge
//	ended  no edge honours a session that was ended longer ago than the bound
//	kept   no edge refuses a session that nobody has ended
//	secret nobody gets what only another person may see
//	lost   an uploaded photo is there until its owner deletes it; who deletes it for good gets a receipt
//	link   whoever has a link sees what it leads to
//	closed a link shows nothing to a request that began after its owner was told that it is revoked
//
// The last six are about people whom the audit signs up. They upload photos for themselves. Every other one also
// uploads public photos, and takes them away again. Their browsers end sessions in every way that the site has.
// A session counts as ended when the form's answer arrives; each edge is then asked with its cookie until it refuses.
// A session that cannot be checked, as NATS is away, is answered by an error, which is neither.
//
// A secret is what one person alone may see: names that no page shows, tokens and ids of sessions, recovery codes, keys
// of forms, titles of their private photos and albums, tokens of links, and where a visitor came from; passwords nobody
// may see. Each answer, with its header, is searched for all of them, and so are the items of memcached, and the
// messages of the bus that an audit may hear. Every other visitor of the pages that all share is signed in, and these
// answers are held to the same rules.
//
// An answer about photos is checked once every write to its users that began before the answer ended has its
// outcome. So a verdict does not depend on the order in which outcomes arrive. The queue of unchecked answers is
// bounded; when it is full, observers wait.
//
// All random choices come from one seed, so a run can be repeated with the same decisions, though not with the same
// timing.
//
// Files:
//
//	audit.go      Config, Run: prepares, starts writers, observers, checkers and faults, and ends them
//	prepare.go    takes users over: marks their photos, reads their state
//	model.go      the audited users and photos, and the history of their writes
//	write.go      decides on writes and records their outcomes; bus.go and psql.go carry them out
//	view.go       chooses pages to request; visitor.go requests them; scan.go reads bodies
//	check.go      checks answers against the history; label.go is the rule of that name
//	picture.go    the addresses of pictures, and how long each is one
//	stopwatch.go  times how soon a write shows at every edge
//	people.go     signs people up and in, and looks at their private pages
//	leave.go      removes these people at the end
//	photos.go     uploads photos of these people, and takes them away
//	shares.go     links to what these people share, seen by visitors and revoked
//	receipts.go   receipts of photos that these people delete for good
//	guests.go     photos that visitors add by links
//	revoke.go     ends sessions, and times how soon every edge refuses them
//	secret.go     finds secrets in texts; leak.go reads the bus and memcached for that
//	address.go    e-mail addresses of the audit's people, which are secrets
//	notice.go     reads from the edges' metrics how soon they learned of changes
//	epoch.go      versions that a failover announces
//	fault.go      injects faults, and knows when one was in effect
//	tally.go      collects the figures; report.go prints them
package audit

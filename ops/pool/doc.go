// Package pool watches the roles of a site: which run, what they do, how long requests wait.
//
// **Input**: a connection to the bus as a role that may ask for statistics ($SRV.STATS). **Output**: a [Snapshot] each
// time it is asked, the [Load] of the renderers between two of them, a [View] for people, and that as a page (Watch)
// and as text. **Must not touch**: the roles. Whoever answers is shown, in this process or another.
//
//	gather.go   asks all roles
//	load.go     how busy the renderers were, for those who start more of them
//	history.go  what each role did lately; view.go has that in words; deploy.go: whether a deployment is under way
//	page.go     the page /pool, and its stream of events
//	text.go     the same for a terminal, top.go each second
package pool

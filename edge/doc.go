// Package edge is the one room that knows browsers: HTTP in, bus out.
//
// In flow HTTP requests, envelopes from renderers (by request on the bus) and from memcached (reads only), and the stream of changes.
// Out flow HTTP answers, requests on the bus and, for what is asked for more than once, notes to the cachefills. An edge may not touch
// Postgres, may not write memcached and knows no template: every byte that a visitor sees was rendered elsewhere, but for one apology.
//
// Plain requests come in below net/http, by express.go; all others by net/http and routes.go. Their way is the same and in pages.go: near
// cache, memcached, bus, each only if the one before had no copy that is still true. Whether a copy is true is decided in freshness.go, at
// every serve, by comparing the versions that the copy depends on with the newest known.
package edge

// Package cachefill is the only writer of memcached.
//
// Input: notes on "fill.<subject>", each meaning "make memcached hold this page". Edges send them, and so does a
// cachefill that replays; NATS gives each note to one cachefill of the queue group. A cachefill gets pages from
// renderers as an edge does: by a request on the bus.
//
// Output: items in memcached, each with a page's key and the envelope exactly as a renderer sent it.
//
// Must not touch: Postgres, HTTP, templates. It never looks into a page.
//
// A cachefill that finds a memcached server empty (flushed, restarted or new) replays: it has the popular pages that
// belong there filled. No correct answer depends on a cachefill: without one the site is slower, and a later note makes
// up for a lost one.
//
// The files:
//
//	filler.go   Config, Run; accepts notes, runs workers, fills the assets at the start
//	queue.go    notes that wait, one job for each page
//	try.go      one fill: lock, request, store
//	server.go   one memcached server: is it empty, is it away
//	replay.go   fills an empty server with the popular pages
//	load.go     how many pages a second the renderers make, which bounds a replay
//	metrics.go  figures for Prometheus and `nats micro stats`
package cachefill

// Package popularity counts how often pages are requested, and has memcached filled with the popular ones before they
// are requested again.
//
// **Input**: each page that answers a request (Observe), and changes known to the freshness Tracker. **Output**: fill
// notes to the cachefills, and this edge's popularity list in the KV bucket HOT. **Must not touch**: memcached,
// Postgres, HTTP.
//
//	popularity.go   Popularity: the parts together, and Observe, which counts every request
//	counter.go      counter: how often each page was requested lately, and which versions it shows
//	recent.go       recent: which pages were rendered in the last 30 to 60 s
//	refill.go       the loop that refills popular pages after a change
//	fill.go         filler: publishes fill notes
//	list.go         lister: stores the popularity list and reads it back after a restart
package popularity

// Package cache gets pages from memory and from memcached, decoded and ready to be sent.
//
// **Input**: renderers' replies, and items of memcached. **Output**: pages, each in the encodings that browsers accept.
// **Must not touch**: the bus; memcached other than by reading. It does not decide which page is fresh
// (edge/freshness).
//
//	page.go        Page: a decoded reply with its header values and the versions it shows
//	encode.go      Encoder: makes the gzip, brotli and plain form of a page, each once
//	accept.go      Accept: what an Accept-Encoding header says
//	memory.go      Memory: the in-process cache
//	memcached.go   Memcached: batched look-ups with a time limit and a circuit breaker for each server
package cache

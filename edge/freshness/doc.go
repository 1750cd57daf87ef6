// Package freshness decides whether a cached page still shows the newest rows.
//
// **Input**: batches of changes and heartbeats, at once and from the stream CHANGES, early invalidations, the versions
// in renderers' replies, and those in read-your-writes tokens. **Output**: for a page, whether it may be served as
// fresh or as stale.
// **Must not touch**: caches. Nothing is deleted to be correct; versions are compared each time a page is served.
//
//	tracker.go   Tracker: the newest known version of each scope, and the comparison
//	feed.go      Feed: hears relays, follows the stream CHANGES, and tells the Tracker
//	chain.go     which batches are known, and so whether one was missed
//	token.go     Tokens: verifies the read-your-writes token, the cookie "fresh"
package freshness

// Package renderer is the queue group that turns requests on the bus into pages, and into changes: the only role that
// knows rows.
//
// In flow requests on the subjects of schema/page, each shared out by NATS to one [Service] of the queue group
// "renderer"; out flow replies with an envelope of schema/wire (a page, a picture, a static file), with the scopes that
// an action changed, or with an error of wire/code.go. Rows come from renderer/store, originals from renderer/pictures,
// views from templates. A Service also relays what changed in Postgres to the stream CHANGES, one Service of all at a
// time.
//
// The way of a request through the files of this package:
//
//	discovery.go  the subjects that are answered, and what `nats micro` shows
//	receive.go    a request is parsed, judged by its deadline, admitted
//	pool.go       it waits for a worker, with others that one query can answer
//	answer.go     rows are read, the view is rendered; pages.go is how, with or without a bus
//	home.go ...   one file for each kind: what is read for it, and what its view is told
//	action.go     or a change is made, once for its key; form.go says what is wrong with what was filled in
//	reply.go      the reply is sent, counted and logged; compress.go packs it, failure.go says what becomes of errors and panics
//
// Beside it stand run.go (starting, and stopping without losing a request), outage.go (patience with Postgres),
// stats.go and metrics.go (what was done), relay.go (changes), tagcounter.go (how many photos tags have).
//
// Pages, stored pictures, pictures to be made, and actions have workers apart, so that none of them keeps another
// waiting.
//
// It may not touch HTTP or memcached, and holds no page: everything it says it has just read.
package renderer

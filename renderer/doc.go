// Package renderer is the pool of processes that make pages and changes. All of them join one queue group of the bus.
//
// Input: requests on the subjects of schema/page and schema/wire, each given by NATS to one [Service] of the queue
// group "renderer".
//
// Output: replies, each with an envelope of schema/wire (a page, a picture, a static file), with the scopes that an
// action changed, or with an error of wire/code.go; and the stream CHANGES, which one Service at a time writes from
// Postgres' outbox.
//
// Must not touch: HTTP, memcached. It caches no page: every reply is read from Postgres or the picture store.
//
// A request passes these files:
//
//	discovery.go  the endpoints: which subjects are answered, and what `nats micro` shows
//	receive.go    parses a request, checks its deadline, admits it
//	job.go        the request on its way, and which part of it belongs to whom
//	pool.go       queues it for a worker, together with others that one query can answer
//	answer.go     reads rows and renders; pages.go does so with or without a bus
//	home.go ...   one file for each kind of page: its rows and its view model; view.go is what they share
//	image.go      pictures; asset.go: static files, answered without a worker
//	action.go     changes, once for each key; form.go checks their forms
//	account.go    the actions of people: sign-up, sign-in, recovery; ownaccount.go: password, codes, tokens, profile
//	passkey.go    passkeys; mail.go: mailed links, and addresses
//	accountform.go their forms, and what is wrong with them; private.go: pages for one person
//	deletion.go   deletes accounts, and writes their receipts
//	upload.go     files that people upload, in chunks; uploadfinish.go makes the photo
//	reply.go      sends, counts and logs the reply; compress.go compresses it; failure.go turns errors into replies
//
// Beside the way of a request:
//
//	service.go    Config, New, Ready
//	run.go        starts, and stops without losing a request; subscriptions.go drains; hearing.go: heartbeats
//	outage.go     how long Postgres is waited for; refused.go: addresses that can never work
//	abandoned.go  requests whose answer nobody waits for any more
//	stats.go      figures for `nats micro`; metrics.go: for Prometheus
//	relay.go      changes, from the outbox to edges and the stream; relaystall.go: a stream that takes none;
//	              buckets.go: buckets that take no value, and the replicas of all
//	develop.go    decodes pictures that were uploaded, and removes uploads that were given up
//	index.go      the search index, tagcounter.go the counts of tags, leftovers.go what deletions leave to be done:
//	              what the active relay does besides
//
// Pages, searches, the sitemap, stored pictures, pictures to be made, actions, and actions with a password have workers
// of their own, so that none delays another.
package renderer

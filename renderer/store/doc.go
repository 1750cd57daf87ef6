// Package store reads the site's rows from Postgres, one method and one statement for each page, and changes them, one
// method and one statement for each action.
//
// Input: page identities as plain values (a name, an id, a position).
//
// Output: rows as plain structs, with a [Snapshot] that says which version each user's rows had and when Postgres read
// them. Private photos are in no answer. Something that does not exist is a value with the version of its absence, not
// an error.
//
// Must not touch: view models, HTTP, NATS, memcached, picture files.
//
// Rows and versions come from one statement and so from one snapshot of the database. New versions with old rows, the
// one mistake that would keep a stale copy in caches, cannot happen.
//
// Listings are ordered by photo id, newest first, with keyset pagination: a page begins after an id, so the last page
// costs as much as the first.
//
// Actions take a key and happen once for each key, see idempotent.go. They return the changed scopes with the versions
// that this change gave them. Triggers of the database write versions and outbox, for actions as for changes by hand.
//
// The files:
//
//	store.go         Store, Snapshot, sizes of pages
//	pool.go          connection pools and their settings; connect.go: one attempt to connect at a time
//	row.go           the one shape of rows, and the structs that they decode into
//	listing.go       cards of photos, neighbouring pages; picture.go: pictures of rows, and their files
//	read.go          running a statement, with retries
//	transient.go     which errors are worth a retry
//	home.go users.go album.go albums.go photo.go tag.go tags.go explore.go feed.go sitemap.go
//	                 one for each page, and related.go: tags close to a tag
//	search.go        a search: its steps, and the rows of what was found
//	searchwords.go   what the index knows about the words of a query
//	searchplan.go    from query to tsquery
//	searchfind.go    matches few enough to fetch them all
//	searchwalk.go    matches in bands, for frequent words
//	searchfacets.go  counts of matches, exact or from a sample
//	searchpeople.go  people and tags beside the photos
//	searchtypos.go   words that nobody wrote, corrected
//	searchqueue.go   the queue of what to index; searchindex.go, searchrows.go, searchbuild.go: writing the index
//	actions.go       changes; accounts.go: of accounts and profiles; idempotent.go: once for each key
//	uploads.go       files that people upload, and what has become of them
//	unmade.go        pictures that were stored and not decoded yet
//	relay.go         the outbox; relaychain.go: the chain of batches that were taken from it
package store

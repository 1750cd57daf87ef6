// Package store reads the site's rows from Postgres, one method a page and one statement a page, and changes them, one
// method an action and one statement an action, which is a function of the database
// (schema/migrations/006_actions_at_once.sql).
//
// In flow page identities in plain values (a name, an id, a position); out flow rows as plain structs, and with them a
// [Snapshot]: which version each user's rows had, and when they were read by Postgres' clock. Rows and versions come
// from the same statement and so from the same snapshot of the database: new versions with old rows, the one mistake
// that would make a cache lie for good, cannot occur. What is not found is a value, with the version of its absence,
// not an error. Private photos are in no answer; they count as not found.
//
// Listings go by photo id, newest first, in keyset order: a page is found by the id it begins after, so the last page
// costs what the first one does. The package also hands the outbox to whoever publishes it ([Store.RelayOnce]). It
// makes no view models and knows no HTTP and no NATS.
//
// Actions ([Store.EditPhoto], [Store.DeletePhoto], [Store.SetPhotoPrivate]) are given a key and done once for each,
// however often and by however many they are asked for, and whatever connection breaks in between. They return the
// scopes that changed with the versions that exactly this change gave them, read before its locks are let go; versions
// and outbox are the triggers' work, here as for changes made by hand. Besides them, the outbox, the keys that have
// grown old ([Store.ForgetKeys]), the tags' counts ([Store.CountTags]) and the search index ([Store.IndexOnce],
// [Store.PostponeIndexing], [Store.BuildSearch]) the package changes nothing.
package store

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What a page holds at most. The statements say so in figures, not parameters: a plan for any limit would not be one
// for a small limit.
const (
	PageSize     = 48   // photos of a listing; one more is fetched, to know whether there is more
	PopularSize  = 10   // popular photos on the first home page
	CoversSize   = 12   // albums on the first page of a user
	FeedSize     = 30   // entries of a feed
	PeopleSize   = 6    // people found by a search
	TagIdeasSize = 8    // tags suggested by a search
	SitemapSize  = 5000 // addresses in a part of the sitemap, which is so many ids
	FacetSize    = 8    // values of each kind by which a search can be narrowed
)

// Store reads pages and does actions. It is safe for concurrent use; the pool bounds how much it asks of Postgres at
// once.
type Store struct {
	pool     *pgxpool.Pool
	searches *pgxpool.Pool // for searches alone
	longest  time.Duration // of a search; 0: no bound
	floor    outboxFloor
}

// New makes a Store on a pool, best one of [OpenPool]. Closing the pool remains the caller's. Searches have the pool's
// bounds only.
func New(pool *pgxpool.Pool) *Store { return NewWithSearches(pool, pool, 0) }

// NewWithSearches makes a Store that searches through a pool of its own, best one of [OpenSearchPool], so that searches
// take no connection from pages and have a timeout of their own. A search begins no statement when longest is over
// ([SearchLongest]; 0: no bound).
func NewWithSearches(pool, searches *pgxpool.Pool, longest time.Duration) *Store {
	return &Store{pool: pool, searches: searches, longest: longest}
}

// Dep is one thing an answer depends on: a scope ("all", "user.ansel", "photo.7", "album.3") and the version it had.
type Dep struct {
	Scope   string
	Version int64
}

// Depends lists what an answer depends on, each scope once, "all" first.
type Depends []Dep

// Snapshot says of which state of the database an answer tells.
type Snapshot struct {
	Depends Depends
	ReadAt  time.Time // Postgres' clock, just before the snapshot was taken
}

const scopeAll = "all"

func (s *Snapshot) begin(head headRow) {
	s.ReadAt = head.readAt
	s.Depends = append(s.Depends, Dep{scopeAll, head.version})
}

// on notes a dependency on a user; the same one many times is noted once.
func (s *Snapshot) on(user string, version int64) {
	const prefix = "user."
	for _, d := range s.Depends {
		if len(d.Scope) == len(prefix)+len(user) && d.Scope[len(prefix):] == user {
			return
		}
	}
	s.Depends = append(s.Depends, Dep{prefix + user, version})
}

// absent notes a dependency on something that is not there. Its version is its tombstone's, or that of "all" where that
// is higher: announce_all writes no tombstones for what it makes unknown.
func (s *Snapshot) absent(scope string, tombstone int64) {
	s.Depends = append(s.Depends, Dep{scope, max(tombstone, s.Depends[0].Version)})
}

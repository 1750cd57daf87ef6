package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Most items of a page. Statements contain them as literals: Postgres plans a literal LIMIT for its size, and a
// parameter for any size.
const (
	PageSize     = 48   // photos of a listing; one more is fetched, to know whether there is more
	PopularSize  = 10   // popular photos on the first home page
	CoversSize   = 12   // albums on the first page of a user
	FeedSize     = 30   // entries of a feed
	PeopleSize   = 6    // people found by a search
	TagIdeasSize = 8    // tags suggested by a search
	SitemapSize  = 5000 // ids in a part of the sitemap
	FacetSize    = 8    // values of each kind by which a search can be narrowed
)

// Store reads pages and makes changes. It is safe for concurrent use. The pool bounds the number of concurrent
// statements.
type Store struct {
	pool     *pgxpool.Pool
	searches *pgxpool.Pool // for searches alone
	longest  time.Duration // of a search; 0: no bound
	once     bool          // reads are not repeated
	report   func(error)   // of attempts that are repeated
	floor    outboxFloor
}

// New makes a Store on a pool, usually one of [OpenPool]. The caller closes the pool. Searches use the same pool and
// have no timeout of their own.
func New(pool *pgxpool.Pool) *Store { return NewWithSearches(pool, pool, 0) }

// NewWithSearches makes a Store that searches through a pool of its own, usually one of [OpenSearchPool], so that
// searches take no connection from pages and have their own timeout. A search starts no further statement after
// longest ([SearchLongest]; 0: no bound).
func NewWithSearches(pool, searches *pgxpool.Pool, longest time.Duration) *Store {
	return &Store{pool: pool, searches: searches, longest: longest, report: func(error) {}}
}

// NewReplica makes a Store on pools of [OpenReplicaPool]. It changes nothing, and does not repeat a read that failed:
// the primary can be asked.
func NewReplica(pool, searches *pgxpool.Pool, longest time.Duration) *Store {
	s := NewWithSearches(pool, searches, longest)
	s.once = true
	return s
}

// OnRetry makes the Store call report with the error of every attempt that it repeats by itself. Call it before the
// Store is used.
func (s *Store) OnRetry(report func(error)) { s.report = report }

// Probe reports whether Postgres takes a connection, once it says so or ctx ends. It uses none of the pool's, so that
// they are still good when a Postgres that answers nobody is back.
func (s *Store) Probe(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("probe Postgres: %w", err)
	}
	_ = conn.Close(ctx) // it has answered
	return nil
}

// Dep is one thing an answer depends on: a scope ("all", "user.ansel", "photo.7", "album.3") and the version it had.
type Dep struct {
	Scope   string
	Version int64
}

// Depends lists the scopes an answer depends on, each once, "all" first.
type Depends []Dep

// Snapshot says which state of the database an answer shows.
type Snapshot struct {
	Depends Depends
	// ReadAt is a time of the primary's clock: everything that was committed before is in this state.
	ReadAt time.Time
}

const scopeAll = "all"

func (s *Snapshot) begin(head headRow) {
	s.ReadAt = head.readAt
	s.Depends = append(s.Depends, Dep{scopeAll, head.version})
}

// on adds a dependency on a user, once. The version is that of "all" if it is higher: no change of before is missing
// then, and a failover may have lost changes whose versions edges know.
func (s *Snapshot) on(user string, version int64) {
	const prefix = "user."
	for _, d := range s.Depends {
		if len(d.Scope) == len(prefix)+len(user) && d.Scope[len(prefix):] == user {
			return
		}
	}
	s.Depends = append(s.Depends, Dep{prefix + user, max(version, s.Depends[0].Version)})
}

// absent adds a dependency on something that does not exist. Its version is that of its tombstone, or that of "all"
// if higher: announce_all writes no tombstones for what it removes.
func (s *Snapshot) absent(scope string, tombstone int64) {
	s.Depends = append(s.Depends, Dep{scope, max(tombstone, s.Depends[0].Version)})
}

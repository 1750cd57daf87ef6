package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Change says that a scope has a new version. Gone means that something in the scope is no longer public: a copy of
// an earlier version must not be shown, not even as a stale one.
type Change struct {
	Scope   string
	Version int64
	Gone    bool
}

// RelayLock is the key of the advisory lock that the active relay holds for one transaction at a time: "killr".
const RelayLock = 0x6b696c6c72

const (
	relayBatch = 500 // outbox rows taken at once

	// Deleted rows that VACUUM has not removed yet, because of a long transaction elsewhere, are slow to skip. So each
	// scan of the outbox starts near the end of the last one: overlap ids before it, because transactions get ids
	// before they commit, and every fullScanEvery at the beginning, for long transactions.
	overlap       = 1000
	fullScanEvery = 250 * time.Millisecond
)

// outboxFloor remembers up to which id the outbox was empty.
type outboxFloor struct {
	mu       sync.Mutex
	id       int64
	fullScan time.Time
}

func (f *outboxFloor) next(now time.Time) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.fullScan) >= fullScanEvery {
		f.id, f.fullScan = 0, now
	}
	return max(0, f.id-overlap)
}

func (f *outboxFloor) raise(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id = max(f.id, id)
}

// Batch is what one message of the relay says. Batches are a chain: each names the one before it.
type Batch struct {
	Message, After string // its name, and that of the batch before it
	Changes        []Change
	Since          time.Time // when the first of them was written; zero: all were published before
	Again          bool      // some of them were published before, and are not stored
}

// RelayOnce takes the oldest changes out of the outbox, at most 500, and gives publish the newest version of each
// scope, as the batch of this name, which no other may have. When publish returns nil, the batch is the end of the
// chain, and the outbox forgets the changes. If it says that they are not stored, they are kept elsewhere, and with
// resend RelayOnce takes 500 of these as well. If publish fails, or this process or Postgres dies, the changes stay and
// are published again, in another batch. Publish has less than 2 s before Postgres ends the idle transaction. It is not
// called when nothing waits.
//
// One relay among all processes works at a time. leader is false, and nothing was done, when another process has the
// lock. n counts the changes taken; 500 mean that more probably wait.
//
// The deletion does not wait for Postgres' disk: if a crash undoes it, the changes are published once more.
func (s *Store) RelayOnce(
	ctx context.Context, message string, resend bool, publish func(Batch) (stored bool, err error),
) (n int, leader bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("relay: %w", err)
	}
	defer conn.Release() // a connection that is left within a transaction is closed
	t, err := takeChanges(ctx, conn, s.floor.next(time.Now()), resend)
	var end pgx.Batch
	if n = len(t.changes); err == nil && n > 0 {
		batch := Batch{Message: message, After: t.after, Changes: coalesce(t.changes), Since: t.since, Again: t.again}
		var stored bool
		stored, err = publish(batch)
		batch.record(&end, stored)
	}
	if err != nil {
		end = pgx.Batch{}
		end.Queue("rollback")
	} else {
		end.Queue("commit")
	}
	if failed := conn.SendBatch(ctx, &end).Close(); err == nil {
		err = failed
	}
	if err != nil {
		return 0, t.leader, fmt.Errorf("relay: %w", err)
	}
	s.floor.raise(t.last)
	return n, t.leader, nil
}

// record queues the statement that makes a batch the end of the chain, and keeps its changes if they are not stored.
func (b *Batch) record(queue *pgx.Batch, stored bool) {
	n := len(b.Changes)
	scopes, versions, gone := make([]string, n), make([]int64, n), make([]bool, n)
	for i, c := range b.Changes {
		scopes[i], versions[i], gone[i] = c.Scope, c.Version, c.Gone
	}
	queue.Queue(`
		WITH moved AS (UPDATE relay_last SET message = $1),
		kept AS (
			INSERT INTO unstored (scope, version, gone)
				SELECT c.scope, c.version, c.gone FROM unnest($3::text[], $4::bigint[], $5::boolean[])
					AS c (scope, version, gone) WHERE NOT $6::boolean
				ON CONFLICT (scope) DO UPDATE SET version = greatest(unstored.version, excluded.version),
					gone = unstored.gone OR excluded.gone
		)
		INSERT INTO relayed (message, after, scopes, versions, gone) VALUES ($1, $2, $3, $4, $5)`,
		b.Message, b.After, scopes, versions, gone, stored)
}

// Waiting reports whether something waits for [Store.RelayOnce]. It takes one round trip instead of two, and no lock.
func (s *Store) Waiting(ctx context.Context, resend bool) (waiting bool, err error) {
	const sql = `SELECT (SELECT o.id FROM outbox o WHERE o.id > $1 ORDER BY o.id LIMIT 1) IS NOT NULL
		OR $2 AND EXISTS (SELECT FROM unstored)`
	if err = s.pool.QueryRow(ctx, sql, s.floor.next(time.Now()), resend).Scan(&waiting); err != nil {
		err = fmt.Errorf("relay: scan the outbox: %w", err)
	}
	return waiting, err
}

// taken is what a transaction took out of the outbox, and of what is not stored.
type taken struct {
	leader  bool   // else nothing
	after   string // the end of the chain
	changes []Change
	since   time.Time // when the first of the outbox was written
	again   bool      // some of the changes were not stored
	last    int64     // the greatest id of the outbox
}

// takeChanges begins a transaction and takes changes, in one round trip. Whoever has got the lock may still read, by
// this statement's snapshot, what was before the last relay's commit: FOR UPDATE reads the row as it is now.
func takeChanges(ctx context.Context, conn *pgxpool.Conn, floor int64, resend bool) (t taken, err error) {
	var b pgx.Batch
	b.Queue("begin")
	b.Queue(`
		WITH leader AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1) AS yes, set_config('synchronous_commit',
			'off', true)),
		chain AS MATERIALIZED (SELECT c.message FROM relay_last c, leader l WHERE l.yes FOR UPDATE OF c),
		taken AS (
			DELETE FROM outbox WHERE id = ANY (ARRAY(
				SELECT o.id FROM outbox o WHERE (SELECT yes FROM leader) AND o.id > $2 ORDER BY o.id LIMIT $3
			)) RETURNING id, at, scope, version, gone
		),
		again AS (
			DELETE FROM unstored WHERE scope = ANY (ARRAY(
				SELECT u.scope FROM unstored u WHERE (SELECT yes FROM leader) AND $4::boolean ORDER BY u.scope LIMIT $3
			)) RETURNING scope, version, gone
		)
		SELECT l.yes, coalesce((SELECT message FROM chain), ''), coalesce(t.id, 0), coalesce(t.at, 'epoch'),
			coalesce(t.scope, ''), coalesce(t.version, 0), coalesce(t.gone, false)
		FROM leader l LEFT JOIN (
			SELECT * FROM taken UNION ALL SELECT -1, 'epoch', scope, version, gone FROM again
		) AS t ON true`,
		RelayLock, floor, relayBatch, resend,
	).Query(func(rows pgx.Rows) error {
		var id int64
		var at time.Time
		var c Change
		_, err := pgx.ForEachRow(rows, []any{&t.leader, &t.after, &id, &at, &c.Scope, &c.Version, &c.Gone},
			func() error {
				if id == 0 {
					return nil
				}
				if id > 0 && (t.since.IsZero() || at.Before(t.since)) {
					t.since = at
				}
				t.changes, t.last, t.again = append(t.changes, c), max(t.last, id), t.again || id < 0
				return nil
			})
		return err
	})
	return t, conn.SendBatch(ctx, &b).Close()
}

// coalesce leaves one change for each scope: its newest version, gone if any of its changes was.
func coalesce(changes []Change) []Change {
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Version, b.Version))
	})
	out := make([]Change, 0, len(changes))
	for _, c := range changes {
		if last := len(out) - 1; last >= 0 && out[last].Scope == c.Scope {
			out[last] = Change{c.Scope, c.Version, c.Gone || out[last].Gone}
			continue
		}
		out = append(out, c)
	}
	return out
}

// Now reads Postgres' clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	return read(ctx, s, "read the clock", func(rows pgx.Rows) (time.Time, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[time.Time])
	}, "SELECT clock_timestamp()")
}

// SiteID is the id of the site that the database belongs to.
func (s *Store) SiteID(ctx context.Context) (string, error) {
	return read(ctx, s, "read the id of the site", func(rows pgx.Rows) (string, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	}, "SELECT id::text FROM site")
}

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

// RelayOnce takes the oldest changes out of the outbox, at most 500, and gives publish the newest version of each
// scope and the time when the first change was written. It deletes the changes when publish has returned nil, so
// publish must return nil only after they are stored. If publish fails, or this process or Postgres dies, the changes
// stay and are published again. Publish has less than 2 s before Postgres ends the idle transaction. It is not called
// for an empty outbox.
//
// One relay among all processes works at a time. leader is false, and nothing was done, when another process has the
// lock. n counts the outbox rows taken; 500 mean that more probably wait.
//
// The deletion does not wait for Postgres' disk: if a crash undoes it, the changes are published once more.
func (s *Store) RelayOnce(
	ctx context.Context, publish func(changes []Change, since time.Time) error,
) (n int, leader bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("relay: %w", err)
	}
	defer conn.Release() // a connection that is left within a transaction is closed
	t, err := takeChanges(ctx, conn, s.floor.next(time.Now()))
	if err == nil && len(t.changes) > 0 {
		err = publish(coalesce(t.changes), t.since)
	}
	end := "commit"
	if err != nil {
		end = "rollback"
	}
	if _, failed := conn.Exec(ctx, end); err == nil {
		err = failed
	}
	if err != nil {
		return 0, t.leader, fmt.Errorf("relay: %w", err)
	}
	s.floor.raise(t.last)
	return len(t.changes), t.leader, nil
}

// Waiting reports whether the outbox holds something for [Store.RelayOnce]. It takes one round trip instead of two,
// and no lock.
func (s *Store) Waiting(ctx context.Context) (waiting bool, err error) {
	const sql = "SELECT (SELECT o.id FROM outbox o WHERE o.id > $1 ORDER BY o.id LIMIT 1) IS NOT NULL"
	if err = s.pool.QueryRow(ctx, sql, s.floor.next(time.Now())).Scan(&waiting); err != nil {
		err = fmt.Errorf("relay: scan the outbox: %w", err)
	}
	return waiting, err
}

// taken is what a transaction took out of the outbox.
type taken struct {
	leader  bool // else nothing
	changes []Change
	since   time.Time // when the first of them was written
	last    int64     // the greatest id
}

// takeChanges begins a transaction and takes changes, in one round trip.
func takeChanges(ctx context.Context, conn *pgxpool.Conn, floor int64) (t taken, err error) {
	var b pgx.Batch
	b.Queue("begin")
	b.Queue(`
		WITH leader AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1) AS yes, set_config('synchronous_commit',
			'off', true)),
		taken AS (
			DELETE FROM outbox WHERE id = ANY (ARRAY(
				SELECT o.id FROM outbox o WHERE (SELECT yes FROM leader) AND o.id > $2 ORDER BY o.id LIMIT $3
			)) RETURNING id, at, scope, version, gone
		)
		SELECT l.yes, coalesce(t.id, 0), coalesce(t.at, 'epoch'), coalesce(t.scope, ''), coalesce(t.version, 0),
			coalesce(t.gone, false)
		FROM leader l LEFT JOIN taken t ON true`,
		RelayLock, floor, relayBatch,
	).Query(func(rows pgx.Rows) error {
		var id int64
		var at time.Time
		var c Change
		_, err := pgx.ForEachRow(rows, []any{&t.leader, &id, &at, &c.Scope, &c.Version, &c.Gone}, func() error {
			if id == 0 {
				return nil
			}
			if len(t.changes) == 0 || at.Before(t.since) {
				t.since = at
			}
			t.changes, t.last = append(t.changes, c), max(t.last, id)
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

// OutboxState is the state of the outbox.
type OutboxState struct {
	Now     time.Time     // Postgres' clock
	Waiting int           // changes not yet relayed; counting ends at 10,000
	Lag     time.Duration // age of the oldest of them, 0 when none waits
}

// OutboxState reads the state of the outbox.
func (s *Store) OutboxState(ctx context.Context) (OutboxState, error) {
	return read(ctx, s, "read the outbox's state", func(rows pgx.Rows) (OutboxState, error) {
		return pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (t OutboxState, err error) {
			var oldest time.Time
			err = r.Scan(&t.Now, &oldest, &t.Waiting)
			t.Lag = max(0, t.Now.Sub(oldest))
			return t, err
		})
	}, `SELECT clock_timestamp(), coalesce((SELECT at FROM outbox ORDER BY id LIMIT 1), clock_timestamp()),
			(SELECT count(*) FROM (SELECT FROM outbox ORDER BY id LIMIT 10000) AS waiting)`)
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

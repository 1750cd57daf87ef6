package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// OutboxState is the state of the outbox and of the chain of batches, read at one moment.
type OutboxState struct {
	Now      time.Time     // Postgres' clock
	Waiting  int           // changes not yet relayed; counting ends at 10,000
	Lag      time.Duration // age of the oldest of them, 0 when none waits
	Last     string        // the end of the chain: all changes that do not wait are in it, or in a batch before it
	Unstored bool          // some of these are not in the stream yet
	Recent   Batch         // the batches of the last 5 s, or fewer, as one; without changes if there was none
}

const (
	recentRows    = 2000 // batches that are read at most
	recentChanges = 8000 // changes that are repeated at most: half of what a message of the bus takes
)

// OutboxState reads the state of the outbox.
func (s *Store) OutboxState(ctx context.Context) (OutboxState, error) {
	return read(ctx, s, "read the outbox's state", func(rows pgx.Rows) (t OutboxState, err error) {
		var oldest time.Time
		type numbered struct {
			n     int64
			batch Batch
		}
		var recent []numbered
		var n *int64
		var message, after *string
		var scopes []string
		var versions []int64
		var gone []bool
		_, err = pgx.ForEachRow(rows, []any{&t.Now, &oldest, &t.Waiting, &t.Last, &t.Unstored, &n, &message, &after,
			&scopes, &versions, &gone}, func() error {
			if n == nil {
				return nil
			}
			b := Batch{Message: *message, After: *after}
			for i, scope := range scopes {
				b.Changes = append(b.Changes, Change{scope, versions[i], gone[i]})
			}
			recent = append(recent, numbered{*n, b})
			return nil
		})
		slices.SortFunc(recent, func(a, b numbered) int { return cmp.Compare(b.n, a.n) })
		newestFirst := make([]Batch, len(recent))
		for i, r := range recent {
			newestFirst[i] = r.batch
		}
		t.Lag, t.Recent = max(0, t.Now.Sub(oldest)), asOne(newestFirst)
		return t, err
	}, `SELECT o.now, coalesce(o.oldest, o.now), o.waiting, c.message, o.unstored,
			r.n, r.message, r.after, r.scopes, r.versions, r.gone
		FROM (
			SELECT clock_timestamp() AS now, (SELECT at FROM outbox ORDER BY id LIMIT 1) AS oldest,
				(SELECT count(*) FROM (SELECT FROM outbox ORDER BY id LIMIT 10000) AS waiting) AS waiting,
				EXISTS (SELECT FROM unstored) AS unstored OFFSET 0
		) AS o CROSS JOIN relay_last c LEFT JOIN (
			SELECT * FROM relayed WHERE at > clock_timestamp() - interval '5 seconds' ORDER BY n DESC LIMIT $1
		) AS r ON true`, recentRows)
}

// asOne makes one batch of batches that follow each other, of which the newest comes first. It leaves out the oldest
// where all have too many changes, or where one is missing.
func asOne(newestFirst []Batch) (all Batch) {
	for i, b := range newestFirst {
		if i > 0 && (b.Message != all.After || len(all.Changes)+len(b.Changes) > recentChanges) {
			break
		}
		if i == 0 {
			all.Message = b.Message
		}
		all.After, all.Changes = b.After, append(all.Changes, b.Changes...)
	}
	all.Changes = coalesce(slices.Clip(all.Changes))
	return all
}

// ForgetRelayed forgets batches that no heartbeat repeats any more.
func (s *Store) ForgetRelayed(ctx context.Context) error {
	const sql = "DELETE FROM relayed WHERE at < clock_timestamp() - interval '10 seconds'"
	if _, err := s.pool.Exec(ctx, sql); err != nil {
		return fmt.Errorf("relay: forget batches: %w", err)
	}
	return nil
}

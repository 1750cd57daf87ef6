package seed

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// watchedTx counts the statements executed in a transaction. Building indexes is one statement after another, and the
// longest part of a seeding: counting them is how it is seen to go on.
type watchedTx struct {
	pgx.Tx
	ran *atomic.Int64
}

func (t watchedTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := t.Tx.Exec(ctx, sql, args...)
	t.ran.Add(1)
	return tag, err
}

// indexing reports, at once and then every second until stop is called, how many statements have run since. Expected is
// how many there may be: about as many as it took to take the indexes off.
func indexing(ran *atomic.Int64, expected int64, report func(Stage, int64, int64)) (stop func()) {
	before := ran.Load()
	report(Indexing, 0, expected)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				report(Indexing, ran.Load()-before, expected)
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

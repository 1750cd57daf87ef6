package migrations_test

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/migrations"
)

// Processes that start together all migrate, each believing itself the first.
func TestSeveralMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabaseURL(t)
	var together errgroup.Group
	for range 6 {
		pool := testenv.Pool(t, url)
		together.Go(func() error { return migrations.Up(t.Context(), pool) })
	}
	if err := together.Wait(); err != nil {
		t.Fatal(err)
	}
	pool := testenv.Pool(t, url)
	const twice = "SELECT count(*)::integer - count(DISTINCT version_id)::integer FROM goose_db_version"
	if n := one[int](t, pool, twice); n != 0 {
		t.Errorf("%d migrations ran twice", n)
	}
	if v := one[int64](t, pool, "SELECT version FROM epoch"); v < 1_700_000_000_000 {
		t.Errorf("versions begin at %d, below the clock", v)
	}
	if err := migrations.Up(t.Context(), pool); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// A pool made for pages ends statements after 2 s; a migration may take longer, and wait for another one's lock.
func TestUpMindsNoTimeouts(t *testing.T) {
	t.Parallel()
	pool := testenv.Pool(t, testenv.EmptyDatabaseURL(t)+"&statement_timeout=1")
	if err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if got := pool.Config().ConnConfig.RuntimeParams["statement_timeout"]; got != "1" {
		t.Errorf("the pool's own timeout is now %s", got)
	}
}

package testenv

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/stack"
)

// Database returns a pool on a fresh, migrated database, which is dropped when the test ends.
func Database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Pool(t, DatabaseURL(t))
}

// DatabaseURL makes a fresh, migrated database, dropped when the test ends, and returns how its owner connects to it.
// The owner is not a superuser, as in production.
func DatabaseURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, template)
}

// EmptyDatabaseURL is DatabaseURL without the migrations.
func EmptyDatabaseURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "template0")
}

// AdminURL is how the superuser connects to the database of url, for what an owner may not do.
func AdminURL(t testing.TB, databaseURL string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return cluster(t).AdminURL(cfg.Database)
}

// Pool opens a pool and closes it when the test ends.
func Pool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Postgres starts a cluster for this test alone, for tests that stop, restart or freeze it; its site database is
// migrated. It takes about a second: tests that only need rows use Database.
func Postgres(t testing.TB) *stack.Postgres {
	t.Helper()
	return ownCluster(t, false)
}

// Primary is Postgres with a cluster that replicas can follow, see Replica.
func Primary(t testing.TB) *stack.Postgres {
	t.Helper()
	return ownCluster(t, true)
}

func ownCluster(t testing.TB, replicable bool) *stack.Postgres {
	t.Helper()
	p := started(t, func(ctx context.Context, dir string) (*stack.Postgres, error) {
		return stack.StartPostgres(ctx, stack.PostgresConfig{Dir: dir, Throwaway: true, Replicable: replicable})
	})
	if err := migrate(t.Context(), p.URL()); err != nil {
		t.Fatal(err)
	}
	return p
}

// Replica starts a standby that follows a cluster of Primary.
func Replica(t testing.TB, primary *stack.Postgres) *stack.Postgres {
	t.Helper()
	return started(t, func(ctx context.Context, dir string) (*stack.Postgres, error) {
		return stack.StartStandby(ctx, primary, dir)
	})
}

// started starts a PostgreSQL in a folder of its own, and stops it when the test ends.
func started(
	t testing.TB, start func(ctx context.Context, dir string) (*stack.Postgres, error),
) *stack.Postgres {
	t.Helper()
	home, err := newHome()
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(t.Context(), home.dir)
	if err != nil {
		t.Fatal(err, home.remove())
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if err := home.remove(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func newDatabase(t testing.TB, from string) string {
	t.Helper()
	p := cluster(t)
	name := fmt.Sprintf("test_%d", sharedCluster.number.Add(1))
	sql := "create database " + name + " owner killr template " + from
	if p.Major() >= 15 { // before, it was the only way; here it takes 60% of the time, as nothing is synced
		sql += " strategy file_copy"
	}
	if err := adminExec(t.Context(), p, sql); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // t's context has ended by now
		if err := adminExec(context.Background(), p, "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	return p.URLFor(name)
}

func adminExec(ctx context.Context, p *stack.Postgres, sql string) error {
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

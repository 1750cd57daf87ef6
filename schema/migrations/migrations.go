// Package migrations holds the database's shape: tables, keys and the triggers that keep versions, as numbered SQL files.
//
// In flows a connection pool; out flows a database of the newest shape. The SQL is the place to read which rules the data obeys and what
// raises which version: 001 the tables with their limits, 002 keys and indexes, 003 the versions, 005 which actions were done, 006 how they
// are done, 007 the search index, 009 what the pages of days and tags read. The package also loads data in bulk past keys and triggers
// ([WithoutIndexes]), because only it may know how to take them off and
// put them back. It reads no page's rows: that is renderer/store's work.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// Up brings the database that pool connects to up to the newest shape. Several processes may call it at once: one works, the others wait
// for it (up to 300 s, asking every second) and then find nothing to do. It works on connections of its own, without the pool's
// statement_timeout, and leaves the pool as it was.
func Up(ctx context.Context, pool *pgxpool.Pool) (err error) {
	config := pool.Config()
	config.MinConns, config.MinIdleConns, config.MaxConns = 0, 0, 2
	for _, timeout := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		config.ConnConfig.RuntimeParams[timeout] = "0"
	}
	own, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer own.Close()
	db := stdlib.OpenDBFromPool(own)
	defer func() { err = errors.Join(err, db.Close()) }()

	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("migrate: make the lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrate: read the files: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

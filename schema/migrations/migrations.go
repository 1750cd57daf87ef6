// Package migrations holds the database's shape: tables, keys and the triggers that keep versions, as numbered SQL
// files. It also loads data in bulk past keys and triggers ([WithoutIndexes]), because it alone knows how to take them
// off and put them back.
//
// **Input**: a connection pool, or for a load a transaction. **Output**: a database of the newest shape. **Must not
// touch**: the rows of pages, which are the work of renderer/store.
//
// The SQL says which rules the data obeys and what raises which version:
//
//	001  the tables with their limits
//	002  keys and indexes
//	003  the versions; 004 ties them to the tables
//	005  which actions were done; 006 how they are done
//	007  the search index
//	009  what the pages of days and tags read; 010 counts tags anew faster
//	011  photos keep their order whatever the clock does
//	012  which site the database belongs to
//	013  accounts, and the actions of people
//	014  accounts that are deleted or closed, and sessions that end with them
//	015  passkeys; 016 mails
//	017  the generations of pictures, with which their addresses end
//	018  one's own photos and bins; 019 and 031 uploads; 022 albums; 024 links; 025 zip files
//	027  who sees photos, and 028 albums; 029 the archive
//	032  bounds of albums; 033 more about one's own
//	039  how far replicas have come, and which primary this is; 043 whether it was restored
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// Up brings the database that pool connects to up to the newest shape. Several processes may call it at once: one
// works, the others wait for it (up to 300 s, asking every second) and then find nothing to do. It works on connections
// of its own, without the pool's statement_timeout, and leaves the pool as it was.
//
// The site may be in use. A migration waits for a table at most lockTimeout, since every other query of the table waits
// behind it. It is tried again when that was too short, or when PostgreSQL ended it as the victim of a deadlock with a
// writer.
func Up(ctx context.Context, pool *pgxpool.Pool) (err error) {
	config := pool.Config()
	config.MinConns, config.MinIdleConns, config.MaxConns = 0, 0, 2
	for _, timeout := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		config.ConnConfig.RuntimeParams[timeout] = "0"
	}
	config.ConnConfig.RuntimeParams["lock_timeout"] = lockTimeout
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
	err = retry(ctx, func() error {
		_, err := provider.Up(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Bounds of a migration of a database that is in use.
const (
	lockTimeout = "3s" // for each table
	attempts    = 60
	pause       = time.Second // between two attempts, on average
)

// retry calls up until it succeeds, fails for a reason other than the locks of other transactions, or has failed so
// often as attempts says.
func retry(ctx context.Context, up func() error) error {
	for attempt := 1; ; attempt++ {
		err := up()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != deadlock && pg.Code != lockNotAvailable || attempt == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// Error codes of PostgreSQL.
const (
	deadlock         = "40P01"
	lockNotAvailable = "55P03"
)

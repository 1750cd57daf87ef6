package cli

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// databaseFlag is for commands that need the database and nothing else.
type databaseFlag struct {
	Postgres string `env:"DATABASE_URL" placeholder:"URL" help:"Address of the database (default: as in the data directory's stack.env)."`
}

func (f *databaseFlag) findDatabase(data string) error {
	at := services{Postgres: f.Postgres}
	if err := at.find(data, "--postgres", ""); err != nil {
		return err
	}
	f.Postgres = at.Postgres
	return nil
}

// withPool gives f a pool without the time limits of roles, which migrations and seeding exceed. Of several hosts it
// leads to the primary, unless the URL says target_session_attrs.
func withPool(ctx context.Context, url string, f func(*pgxpool.Pool) error) error {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer pool.Close()
	return f(pool)
}

package cli

import (
	"context"
	"fmt"

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

// withPool gives f a pool without the time limits of roles, which migrations and seeding exceed.
func withPool(ctx context.Context, url string, f func(*pgxpool.Pool) error) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer pool.Close()
	return f(pool)
}

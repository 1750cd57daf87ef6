package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/migrations"
)

// throwaway is a database with demonstration data and a memcached, in a temporary directory, for a command that breaks or measures things.
type throwaway struct {
	program   string // this one
	dir       string
	postgres  *stack.Postgres
	memcached *stack.Memcached
}

// newThrowaway starts both and fills the database. purpose is part of the directory's name.
func newThrowaway(s *session, purpose string, data seed.Config) (_ *throwaway, err error) {
	if err := setup.Run(s.ctx, setup.Config{Out: s.stderr, Quiet: true}); err != nil {
		return nil, err
	}
	t := &throwaway{}
	if t.program, err = os.Executable(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	if t.dir, err = os.MkdirTemp("", "killr-"+purpose+"-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(t.dir, 0o755); err != nil { // PostgreSQL's user walks through it
		return nil, err
	}
	starting, ctx := errgroup.WithContext(s.ctx)
	starting.Go(func() (err error) {
		t.memcached, err = stack.StartMemcached(ctx, stack.MemcachedConfig{})
		return err
	})
	starting.Go(func() (err error) {
		t.postgres, err = stack.StartPostgres(ctx, stack.PostgresConfig{Dir: filepath.Join(t.dir, "postgres"), Connections: 200})
		return err
	})
	if err := starting.Wait(); err != nil {
		return nil, err
	}
	return t, withPool(s.ctx, t.postgres.URL(), func(pool *pgxpool.Pool) error {
		if err := migrations.Up(s.ctx, pool); err != nil {
			return err
		}
		return s.seed(pool, t.originals(), data, seed.Run)
	})
}

func (t *throwaway) originals() string { return filepath.Join(t.dir, "pictures") }

// stop ends both and removes every trace.
func (t *throwaway) stop() error {
	var errs []error
	if t.memcached != nil {
		errs = append(errs, t.memcached.Stop())
	}
	if t.postgres != nil {
		errs = append(errs, t.postgres.Stop())
	}
	if t.dir != "" {
		errs = append(errs, os.RemoveAll(t.dir))
	}
	return errors.Join(errs...)
}

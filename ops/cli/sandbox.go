package cli

import (
	"errors"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/migrations"
)

// openSandbox starts services in a temporary directory and fills the database, for a command that breaks or measures
// things. Stop ends them and removes every trace. Without bus it starts no NATS.
func (s *session) openSandbox(purpose string, bus bool, data seed.Config) (*stack.Stack, error) {
	return s.openSandboxWith(purpose, 0, bus, data)
}

// openSandboxWith is openSandbox with so many replicas of the database.
func (s *session) openSandboxWith(
	purpose string, replicas int, bus bool, data seed.Config,
) (_ *stack.Stack, err error) {
	if err := setup.Run(s.ctx, setup.Config{Out: s.stderr, Quiet: true}); err != nil {
		return nil, err
	}
	services, err := stack.Start(
		s.ctx,
		stack.Config{Sandbox: purpose, NoNATS: !bus, MemcachedMiB: 64, Connections: 200, Replicas: replicas},
	)
	if err != nil {
		return nil, err
	}
	err = withPool(s.ctx, services.Env().Postgres, func(pool *pgxpool.Pool) error {
		if err := migrations.Up(s.ctx, pool); err != nil {
			return err
		}
		return s.seed(pool, pictureFlags{Pictures: picturesOf(services)}, data, seed.Run)
	})
	if err != nil {
		return nil, errors.Join(err, services.Stop())
	}
	return services, nil
}

// picturesOf is the picture store of a sandbox.
func picturesOf(services *stack.Stack) string { return filepath.Join(services.Dir(), "pictures") }

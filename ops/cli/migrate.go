package cli

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/schema/migrations"
)

type migrateCommand struct {
	databaseFlag
}

func (c *migrateCommand) Run(s *session) error {
	if err := c.findDatabase(s.data); err != nil {
		return err
	}
	return withPool(s.ctx, c.Postgres, func(pool *pgxpool.Pool) error { return migrations.Up(s.ctx, pool) })
}

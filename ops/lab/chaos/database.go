package chaos

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// openPool opens the database at an address of the stack, or of the row's machines.
func (s *scene) openPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	c.MaxConns = writers + 2
	if s.fleet != nil { // one of the machines has the primary, another one after each failover
		c.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
		c.ConnConfig.DialFunc, c.ConnConfig.ConnectTimeout, c.PingTimeout = s.dial, dialLimit, dialLimit
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrStandby: a server of the address is a standby, and none is a primary.
var ErrStandby = errors.New("it is a standby, not the primary")

// Codes of PostgreSQL's errors.
const (
	undefinedFunction   = "42883" // the database is not migrated yet
	readOnlyTransaction = "25006"
)

// requirePrimary makes every connection of config lead to a primary whose timeline has been announced, see
// adopt_timeline in schema/migrations. Of several hosts one that is a standby is passed over. So after a failover no
// statement runs before edges are told that everything may have changed. A standby that is promoted has no connection
// from before, which nothing would have checked.
func requirePrimary(config *pgconn.Config) {
	asked := config.ValidateConnect // by target_session_attrs
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if asked != nil {
			if err := asked(ctx, conn); err != nil {
				return err
			}
		}
		return adoptTimeline(ctx, conn)
	}
}

func adoptTimeline(ctx context.Context, conn *pgconn.PgConn) error {
	result := conn.ExecParams(ctx, "SELECT adopt_timeline()", nil, nil, nil, nil).Read()
	if pg, ok := errors.AsType[*pgconn.PgError](result.Err); ok && pg.Code == undefinedFunction {
		const where = "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'new' END"
		result = conn.ExecParams(ctx, where, nil, nil, nil, nil).Read()
	}
	if pg, ok := errors.AsType[*pgconn.PgError](result.Err); ok && pg.Code == readOnlyTransaction {
		return ErrStandby // when the statement began: it is promoted just now
	}
	if result.Err != nil {
		return fmt.Errorf("adopt the timeline: %w", result.Err)
	}
	if string(result.Rows[0][0]) == "standby" {
		return ErrStandby
	}
	return nil
}

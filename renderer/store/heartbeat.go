package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Beat writes the time into the row heartbeat, by which replicas know how far they have come, unless it was written
// less than apart ago. A time that lies ahead, since the clock was set back, is written over. It waits for no standby,
// but for the disk: replicas get nothing before it is there.
func (s *Store) Beat(ctx context.Context, apart time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH unsynced AS MATERIALIZED (SELECT set_config('synchronous_commit', 'local', true))
		UPDATE heartbeat SET at = clock_timestamp() FROM unsynced
			WHERE at < clock_timestamp() - $1::interval OR at > clock_timestamp()`, apart)
	if err != nil {
		return fmt.Errorf("write the heartbeat: %w", err)
	}
	return nil
}

// ReadAt reads the time of which the database shows the state, see [Snapshot]: that of a replica by how far it has
// come. It asks once.
func (s *Store) ReadAt(ctx context.Context) (at time.Time, err error) {
	if err = s.pool.QueryRow(ctx, "SELECT "+readAt).Scan(&at); err != nil {
		err = fmt.Errorf("read how far the database has come: %w", err)
	}
	return at, err
}

// Durability is what decides whether a failover may lose changes that were acknowledged.
type Durability struct {
	Standbys string // synchronous_standby_names; "": none is waited for
	Commit   string // synchronous_commit
}

// LosesAtFailover reports whether a failover may lose changes that were acknowledged.
func (d Durability) LosesAtFailover() bool {
	return d.Standbys == "" || d.Commit == "off" || d.Commit == "local"
}

// Durability reads the settings of the primary.
func (s *Store) Durability(ctx context.Context) (Durability, error) {
	return read(ctx, s, "read the settings of replication", func(rows pgx.Rows) (Durability, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Durability])
	}, "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit')")
}

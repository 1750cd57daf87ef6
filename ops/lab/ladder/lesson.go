package ladder

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/seed"
)

// Lesson is the cost of pages with and without the index on photos by user.
type Lesson struct {
	With    Measure `json:"with"`
	Without Measure `json:"without"`
}

// ErrNotDemonstration refuses the lesson: the index of people's own photos is never dropped.
var ErrNotDemonstration = errors.New("this database does not hold the demonstration data: its index is not dropped")

// The index, as in schema/migrations.
const (
	createIndex = "CREATE INDEX IF NOT EXISTS photos_stream ON photos (user_id, private, id)"
	dropIndex   = "DROP INDEX photos_stream"
)

// restoreLimit bounds the time to create the index, which takes about 2 s for a million photos.
const restoreLimit = 10 * time.Minute

// lesson measures 0.2 with the index, and without it. The index is always restored; if the process is killed in
// between, the next run of the ladder creates it first.
func (c *climb) lesson(ctx context.Context) (_ *Lesson, err error) {
	if err := mayLearn(ctx, c.cfg.Pool); err != nil {
		return nil, err
	}
	patient, err := url.Parse(c.cfg.Postgres)
	if err != nil {
		return nil, err
	}
	query := patient.Query()
	query.Set("statement_timeout", "120s") // without the index a page takes longer than the usual 2 s
	patient.RawQuery = query.Encode()
	server, err := c.startSelf(ctx, Serving{Version: versionProcess, Postgres: patient.String()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	var l Lesson
	processes := c.withServices(server.Processes(), false)
	if l.With, err = c.visit(ctx, server.URL(), processes, true); err != nil {
		return nil, err
	}
	err = withoutIndex(ctx, c.cfg.Pool, func() (err error) {
		c.cfg.Logger.Info(
			"the index on photos by user is gone for a while; should this be killed now, the next `killr ladder` makes it again",
		)
		l.Without, err = c.visit(ctx, server.URL(), processes, true)
		return err
	})
	return &l, err
}

func mayLearn(ctx context.Context, pool *pgxpool.Pool) error {
	is, err := seed.Demonstration(ctx, pool)
	if err == nil && !is {
		err = ErrNotDemonstration
	}
	return err
}

// withoutIndex drops the index while f runs.
func withoutIndex(ctx context.Context, pool *pgxpool.Pool, f func() error) (err error) {
	if err := mayLearn(ctx, pool); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, dropIndex); err != nil {
		return fmt.Errorf("drop the index: %w", err)
	}
	defer func() { err = errors.Join(err, restoreIndex(context.WithoutCancel(ctx), pool)) }()
	return f()
}

// restoreIndex creates the index if it is missing, in a database with the demonstration data.
func restoreIndex(ctx context.Context, pool *pgxpool.Pool) error {
	if is, err := seed.Demonstration(ctx, pool); err != nil || !is {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restoreLimit)
	defer cancel()
	if _, err := pool.Exec(ctx, createIndex); err != nil {
		return fmt.Errorf("create the index: %w", err)
	}
	return nil
}

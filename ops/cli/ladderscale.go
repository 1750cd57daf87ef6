package cli

import (
	"errors"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/seed"
	"flickrkillr/schema/page"
)

// queryDelay is what the measurement of scaling adds to each query.
const queryDelay = 20 * time.Millisecond

// scaleAlbums is how many albums are fetched.
const scaleAlbums = 5000

// scaleOwn measures a site in a sandbox while renderers are added.
func (c *ladderCommand) scaleOwn(s *session) (err error) {
	own, err := s.openSandbox(
		"scale",
		false,
		seed.Config{Users: c.Photos / 10, Photos: c.Photos, Originals: ladderOriginals, Long: ladderLong},
	)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Stop()) }()
	database, err := url.Parse(own.Env().Postgres)
	if err != nil {
		return err
	}
	delay, err := scale.Listen(database.Host, scale.Line{There: queryDelay})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, delay.Close()) }()
	database.Host = delay.Addr()

	cfg := scale.Config{Logger: s.log, Step: time.Duration(c.Seconds * float64(time.Second))}
	if cfg.Pages, err = albumPages(s, own.Env().Postgres); err != nil {
		return err
	}
	edge, roles, err := measured{
		roleCounts:  roleCounts{renderers: 1, edges: 1},
		noNear:      true,
		noMemcached: true,
		database:    database.String(),
	}.processes(own)
	if err != nil {
		return err
	}
	site, err := rig.Start(s.ctx, rig.Config{URL: edge, Processes: roles, Logger: s.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Stop()) }()
	cfg.URL = edge
	for _, p := range roles {
		if p.Name == "renderer" {
			cfg.Renderer = p
		}
	}
	cfg.Progress = s.logProgress()
	result, err := scale.Run(s.ctx, cfg)
	if result == nil {
		return err
	}
	result.Delay = float64(queryDelay.Milliseconds())
	return errors.Join(err, c.show(s, result))
}

// albumPages lists pages of albums. Each needs a query of its own. Pages of users and of photos are read together when
// many wait, so that one renderer would be limited by the processors, not by the delay of a query.
func albumPages(s *session, postgres string) (pages []bench.Page, err error) {
	err = withPool(s.ctx, postgres, func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(
			s.ctx,
			"SELECT album_id FROM album_counts WHERE photo_count > 0 ORDER BY album_id LIMIT $1",
			scaleAlbums,
		)
		if err != nil {
			return err
		}
		pages, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (bench.Page, error) {
			var id int64
			err := row.Scan(&id)
			return bench.PageAt(page.Album(id).Path()), err
		})
		return err
	})
	return pages, err
}

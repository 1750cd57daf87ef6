package cli

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/seed"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/migrations"
)

// seedSize is the amount of demonstration data.
type seedSize struct {
	Users  int    `default:"100000" min:"0" max:"10000000" placeholder:"N" help:"Users in the demonstration data (default ${default}; 0: no data at all)."`
	Photos int    `default:"1000000" min:"1" max:"100000000" placeholder:"N" help:"Photos in the demonstration data (default ${default})."`
	Seed   uint64 `default:"1" placeholder:"N" help:"Seed of the demonstration data: the same seed gives the same data (default ${default})."`
}

func (n seedSize) config() (seed.Config, error) {
	if n.Users < 1 || n.Photos < 1 {
		return seed.Config{}, errors.New("seed: at least one user and one photo are needed")
	}
	return seed.Config{Users: n.Users, Photos: n.Photos, Seed: n.Seed}, nil
}

type seedCommand struct {
	databaseFlag
	seedSize
	Pictures string `type:"path" placeholder:"DIR" help:"Directory to put the pictures in (default: 'pictures' in the data directory)."`
}

func (c *seedCommand) Run(s *session) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := c.findDatabase(s.data); err != nil {
		return err
	}
	return withPool(s.ctx, c.Postgres, func(pool *pgxpool.Pool) error {
		if err := migrations.Up(s.ctx, pool); err != nil {
			return err
		}
		return s.seed(pool, c.Pictures, cfg, seed.Run)
	})
}

// prepareDatabase migrates the database, and fills it if nobody has signed up yet. Paint has to follow.
func (s *session) prepareDatabase(url, dir string, size seedSize) error {
	return withPool(s.ctx, url, func(pool *pgxpool.Pool) error {
		if err := migrations.Up(s.ctx, pool); err != nil {
			return err
		}
		empty, err := seed.Empty(s.ctx, pool)
		if err != nil || !empty || size.Users == 0 {
			return err
		}
		cfg, err := size.config()
		if err != nil {
			return err
		}
		return s.seed(pool, dir, cfg, seed.Fill)
	})
}

// seed fills an empty database as cfg says, and the picture store, in dir or in the data directory. Work is what does
// it.
func (s *session) seed(
	pool *pgxpool.Pool,
	dir string,
	cfg seed.Config,
	work func(context.Context, seed.Config) error,
) (err error) {
	images, err := pictures.OpenDir(s.pictures(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close()) }()
	began := time.Now()
	shown := newProgress(s.stderr, s.log)
	cfg.Pool, cfg.Pictures, cfg.Disk, cfg.Progress = pool, images, s.pictures(dir), shown.report
	err = work(s.ctx, cfg)
	shown.end(err)
	if err == nil {
		s.log.Info(
			"seeded",
			"users",
			cfg.Users,
			"photos",
			cfg.Photos,
			"took",
			time.Since(began).Round(time.Millisecond),
		)
	}
	return err
}

// paint paints demonstration pictures that are missing, beside a running site, until all are there or stop is called.
// It leaves half of the processors to visitors. An error is logged, and the next paint goes on from there.
func (s *session) paint(url, dir string) (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := withPool(ctx, url, func(pool *pgxpool.Pool) (err error) {
			images, err := pictures.OpenDir(s.pictures(dir))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, images.Close()) }()
			shown := &progress{log: s.log} // bars would run through the log of the site
			cfg := seed.Config{Pool: pool, Pictures: images, Progress: shown.report}
			return seed.Paint(ctx, cfg, max(1, runtime.GOMAXPROCS(0)/2))
		})
		if err != nil && ctx.Err() == nil {
			s.log.Error("painting the demonstration pictures failed; the next start goes on with it", "err", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// pictures is the directory of the picture store: the named one, or the one in the data directory.
func (s *session) pictures(named string) string {
	if named != "" {
		return named
	}
	return filepath.Join(s.data, "pictures")
}

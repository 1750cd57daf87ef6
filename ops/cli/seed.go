package cli

import (
	"context"
	"errors"
	"fmt"
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
	pictureFlags
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
		return s.seed(pool, c.pictureFlags, cfg, seedOrFinish)
	})
}

// seedOrFinish seeds an empty database, and finishes a seeding that was interrupted.
func seedOrFinish(ctx context.Context, cfg seed.Config) error {
	err := seed.Run(ctx, cfg)
	if !errors.Is(err, seed.ErrNotEmpty) {
		return err
	}
	if ours, lookErr := seed.Demonstration(ctx, cfg.Pool); lookErr != nil || !ours {
		return errors.Join(err, lookErr)
	}
	if did, finishErr := seed.Finish(ctx, cfg); did || finishErr != nil {
		return finishErr
	}
	return err
}

// prepareDatabase migrates the database and fills it if nobody has signed up yet. After it all pictures can be seen;
// the large ones may still have to be painted. Prepared may be nil.
func (s *session) prepareDatabase(url string, at pictureFlags, size seedSize, prepared *seed.Prepared) error {
	return withPool(s.ctx, url, func(pool *pgxpool.Pool) error {
		if err := migrations.Up(s.ctx, pool); err != nil {
			return err
		}
		empty, err := seed.Empty(s.ctx, pool)
		if err != nil {
			return err
		}
		if !empty {
			return s.draftMissing(pool, at)
		}
		if size.Users == 0 {
			return nil
		}
		cfg, err := size.config()
		if err != nil {
			return err
		}
		cfg.Prepared = prepared
		return s.seed(pool, at, cfg, seed.Fill)
	})
}

// draftMissing makes the drafts that are missing in a database that was filled before. Without them the site shows
// less, but it can start: an error is logged, and the next start tries again.
func (s *session) draftMissing(pool *pgxpool.Pool, at pictureFlags) error {
	err := s.withPictures(at, func(store pictures.Store) error {
		shown := &progress{log: s.log}
		defer shown.end(nil)
		return seed.Draft(s.ctx, seed.Config{Pool: pool, Pictures: store, Progress: shown.report})
	})
	if err != nil && s.ctx.Err() == nil {
		s.log.Error("drafts of demonstration pictures are missing; the next start continues", "err", err)
		return nil
	}
	return err
}

// seed fills a database as cfg says, and the picture store. Work is what does it.
func (s *session) seed(
	pool *pgxpool.Pool, at pictureFlags, cfg seed.Config, work func(context.Context, seed.Config) error,
) error {
	return s.withPictures(at, func(store pictures.Store) error {
		began, shown := time.Now(), newProgress(s.stderr, s.log)
		cfg.Pool, cfg.Pictures, cfg.Progress = pool, store, shown.report
		if where, _ := at.places(s); !pictures.InBucket(where) {
			cfg.Disk = where
		}
		err := work(s.ctx, cfg)
		shown.end(err)
		if err == nil {
			s.log.Info("the demonstration data is in place", "took", time.Since(began).Round(time.Millisecond))
		}
		return err
	})
}

// withPictures opens the picture store for as long as f runs.
func (s *session) withPictures(at pictureFlags, f func(pictures.Store) error) (err error) {
	images, err := pictures.OpenMoving(at.places(s))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close()) }()
	return f(images)
}

// finishData checks the references and paints the demonstration pictures that are missing, beside a running site, until
// all is done or ctx ends. It leaves half of the processors to visitors. An error is logged: the next start continues.
func (s *session) finishData(ctx context.Context, url string, at pictureFlags) {
	began := time.Now()
	var painted int
	err := withPool(ctx, url, func(pool *pgxpool.Pool) error {
		if _, err := migrations.CheckReferences(ctx, pool); err != nil {
			return err
		}
		return s.withPictures(at, func(store pictures.Store) (err error) {
			shown := &progress{log: s.log} // no bars: they would run through the log of the site
			defer shown.end(nil)
			cfg := seed.Config{Pool: pool, Pictures: store, Progress: shown.report}
			painted, err = seed.Paint(ctx, cfg, max(1, runtime.GOMAXPROCS(0)/2))
			return err
		})
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.Error("finishing the demonstration data failed; the next start continues", "err", err)
	case painted > 0:
		s.log.Info("all pictures are painted", "count", painted, "took", time.Since(began).Round(time.Second))
	}
}

// showAccounts prints who can sign in to the demonstration data. A database without it has no such accounts.
func (s *session) showAccounts(url string) {
	var found []seed.Account
	err := withPool(s.ctx, url, func(pool *pgxpool.Pool) (err error) {
		found, err = seed.Accounts(s.ctx, pool)
		return err
	})
	if err != nil {
		if s.ctx.Err() == nil {
			s.log.Warn("cannot tell who can sign in", "err", err)
		}
		return
	}
	for _, a := range found {
		fmt.Fprintf(s.stdout, "Sign in as %s with the password %q\n", a.Name, a.Password)
	}
}

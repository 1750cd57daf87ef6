package store_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

const snapshotWrites = 600

// While titles change, no reader may see a title that is older than the version it is told: a copy with it would never be replaced. Titles
// are numbers here, and rise.
func TestRowsAndVersionsAreOfOneSnapshot(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "0"), photoSQL("1", "0"), photoSQL("2", "0"),
		"INSERT INTO tags (name) VALUES ('sea')", "INSERT INTO photo_tags SELECT id, 1 FROM photos",
		"INSERT INTO albums (user_id, title) VALUES (1, 'A')", "INSERT INTO album_photos SELECT 1, id, 1, id FROM photos WHERE user_id = 1")

	var mu sync.Mutex
	titles := map[int64]int{version(mustHome(t, s).Depends, "user.ansel"): 0} // version -> the title it goes with
	var observed []observation

	group, ctx := errgroup.WithContext(t.Context())
	done := make(chan struct{})
	group.Go(func() error {
		defer close(done)
		for n := 1; n <= snapshotWrites; n++ {
			v, err := retitle(ctx, pool, n)
			if err != nil {
				return err
			}
			mu.Lock()
			titles[v] = n
			mu.Unlock()
		}
		return nil
	})
	for name, read := range snapshotReads(s) {
		group.Go(func() error {
			for reads := 0; ; reads++ {
				select {
				case <-done:
					if reads < 20 {
						return fmt.Errorf("%s read only %d times", name, reads)
					}
					return nil
				default:
				}
				cards, depends, err := read(ctx)
				if err != nil {
					return err
				}
				mu.Lock()
				for _, c := range cards {
					observed = append(observed, observation{name, c.Title, version(depends, "user.ansel")})
				}
				mu.Unlock()
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, o := range observed {
		if want, known := titles[o.version]; !known || strconv.Itoa(want) != o.title {
			t.Fatalf("%s: title %s with version %d, which belongs to title %d", o.read, o.title, o.version, want)
		}
	}
	t.Logf("%d observations", len(observed))
}

type observation struct {
	read, title string
	version     int64
}

func mustHome(t *testing.T, s *store.Store) store.HomePage {
	t.Helper()
	home, err := s.Home(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// retitle gives ansel's photos a new title and returns the version that came with it.
func retitle(ctx context.Context, pool *pgxpool.Pool, n int) (v int64, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE photos SET title = $1 WHERE user_id = 1", strconv.Itoa(n)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT version FROM users WHERE id = 1").Scan(&v)
	})
	return v, err
}

// snapshotReads are reads of ansel's photos through each method that shows them.
func snapshotReads(s *store.Store) map[string]func(context.Context) ([]store.Card, store.Depends, error) {
	only := func(cards []store.Card) (own []store.Card) {
		for _, c := range cards {
			if c.Name == "ansel" {
				own = append(own, c)
			}
		}
		return own
	}
	return map[string]func(context.Context) ([]store.Card, store.Depends, error){
		"Users": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			pages, err := s.Users(ctx, []store.UserQuery{{Name: "vivian"}, {Name: "ansel"}})
			if err != nil {
				return nil, nil, err
			}
			return pages[1].Photos, pages[1].Depends, nil
		},
		"Home": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := s.Home(ctx, 0, 0)
			return only(p.Photos), p.Depends, err
		},
		"Tag": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := s.Tag(ctx, "sea", 0, 0)
			return only(p.Photos), p.Depends, err
		},
		"Album": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := s.Album(ctx, 1, 0, 0)
			return p.Photos, p.Depends, err
		},
		"Explore": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := s.Explore(ctx)
			return only(p.Photos), p.Depends, err
		},
		"HomeFeed": func(ctx context.Context) (cards []store.Card, d store.Depends, err error) {
			p, err := s.HomeFeed(ctx)
			for _, e := range p.Entries {
				cards = append(cards, e.Card)
			}
			return only(cards), p.Depends, err
		},
		"Feed": func(ctx context.Context) (cards []store.Card, d store.Depends, err error) {
			p, err := s.Feed(ctx, "ansel")
			for _, e := range p.Entries {
				cards = append(cards, e.Card)
			}
			return cards, p.Depends, err
		},
		"Photo": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := onePhoto(ctx, s, 1)
			if err != nil {
				return nil, nil, err
			}
			return []store.Card{p.Photo.Card, {Title: p.Photo.Newer.Title}}, p.Depends, nil
		},
		"Search": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := searchFor(ctx, s, "ansel", 0)
			return nil, p.Depends, err
		},
	}
}

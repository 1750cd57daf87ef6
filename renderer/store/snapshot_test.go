package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

const snapshotWrites = 400

// While titles and names change, no reader may see one that is older than the version it is told: a copy with it would
// never be replaced. Titles and names are numbers here, and rise together.
func TestRowsAndVersionsAreOfOneSnapshot(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "0"), photoSQL("1", "0"), photoSQL("2", "0"),
		"INSERT INTO tags (name) VALUES ('sea')", "INSERT INTO photo_tags SELECT id, 1 FROM photos",
		"INSERT INTO albums (user_id, title) VALUES (1, 'A')",
		"INSERT INTO album_photos SELECT 1, id, 1, id FROM photos WHERE user_id = 1")
	index(t, s)
	if _, err := retitle(t.Context(), pool, 0); err != nil {
		t.Fatal(err)
	}
	day := one[time.Time](t, pool, "SELECT posted_at FROM photos WHERE id = 1")

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
	for name, read := range snapshotReads(s, day) {
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
				if err == nil && len(cards) == 0 {
					err = errors.New("nothing is shown")
				}
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				mu.Lock()
				for _, c := range cards {
					observed = append(observed, observation{name, c.Title, version(depends, "user.ansel")})
					if c.DisplayName != "" {
						observed = append(observed,
							observation{name + " (name)", c.DisplayName, version(depends, "user.ansel")})
					}
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

// retitle gives ansel, their photos and their album a new title and returns the version that came with it.
func retitle(ctx context.Context, pool *pgxpool.Pool, n int) (v int64, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, sql := range []string{"UPDATE photos SET title = $1 WHERE user_id = 1", "UPDATE albums SET title = $1",
			"UPDATE users SET display_name = $1 WHERE id = 1"} {
			if _, err := tx.Exec(ctx, sql, strconv.Itoa(n)); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, "SELECT version FROM users WHERE id = 1").Scan(&v)
	})
	return v, err
}

// snapshotReads are reads of ansel's photos, and of what else has their name, through each method that shows them. Day
// is one on which ansel posted.
func snapshotReads(s *store.Store, day time.Time) map[string]func(context.Context) ([]store.Card, store.Depends,
	error) {
	only := func(cards []store.Card) (own []store.Card) {
		for _, c := range cards {
			if c.Name == "ansel" {
				own = append(own, c)
			}
		}
		return own
	}
	feed := func(p store.FeedPage, err error) ([]store.Card, store.Depends, error) {
		var cards []store.Card
		for _, e := range p.Entries {
			cards = append(cards, e.Card)
		}
		return only(cards), p.Depends, err
	}
	search := func(ctx context.Context, text string) ([]store.Card, store.Depends, error) {
		p, err := searchFor(ctx, s, text, 0)
		if err == nil && (len(only(p.Photos)) == 0 || len(p.Facets)+len(p.People) == 0) {
			err = fmt.Errorf("%d photos, %d facets, %d people", len(p.Photos), len(p.Facets), len(p.People))
		}
		cards := p.Photos
		for _, f := range p.Facets {
			cards = append(cards, store.Card{Title: f.DisplayName, Owner: f.Owner})
		}
		for _, f := range p.People {
			cards = append(cards, store.Card{Title: f.DisplayName, Owner: f.Owner})
		}
		return only(cards), p.Depends, err
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
		"ExploreDay": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := s.ExploreDay(ctx, day)
			return only(p.Photos), p.Depends, err
		},
		"Albums": func(ctx context.Context) (cards []store.Card, d store.Depends, err error) {
			p, err := s.Albums(ctx, "ansel", 0, 0)
			for _, c := range p.Covers {
				cards = append(cards, store.Card{Title: c.Title, Owner: p.User.Owner})
			}
			return cards, p.Depends, err
		},
		"HomeFeed": func(ctx context.Context) ([]store.Card, store.Depends, error) { return feed(s.HomeFeed(ctx)) },
		"TagFeed": func(ctx context.Context) ([]store.Card, store.Depends,
			error) {
			return feed(s.TagFeed(ctx, "sea"))
		},
		"Feed": func(ctx context.Context) ([]store.Card, store.Depends,
			error) {
			return feed(s.Feed(ctx, "ansel"))
		},
		"AlbumFeed": func(ctx context.Context) ([]store.Card, store.Depends,
			error) {
			return feed(s.AlbumFeed(ctx, 1))
		},
		"Photo": func(ctx context.Context) ([]store.Card, store.Depends, error) {
			p, err := onePhoto(ctx, s, 1)
			if err != nil {
				return nil, nil, err
			}
			return []store.Card{p.Photo.Card, {Title: p.Photo.Newer.Title}}, p.Depends, nil
		},
		"Search":    func(ctx context.Context) ([]store.Card, store.Depends, error) { return search(ctx, "sea") },
		"Search by": func(ctx context.Context) ([]store.Card, store.Depends, error) { return search(ctx, "ansel") },
	}
}

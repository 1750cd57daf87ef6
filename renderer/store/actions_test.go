package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// album gives ansel photos 1 to 4: 1 and 2 are public, 3 was public and is private, 4 was never public; 1 and 4 are in
// album 1 and have a tag. The outbox is empty.
func album(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	people(t, pool)
	exec(t, pool, photoSQL("1", "one"), photoSQL("1", "two"), photoSQL("1", "three"),
		"UPDATE photos SET private = true WHERE id = 3",
		"INSERT INTO photos (user_id, image_id, width, height, color, private) "+
			"VALUES (1, '"+imageID(1)+"', 40, 30, 255, true)",
		"INSERT INTO albums (user_id, title) VALUES (1, 'Yosemite')",
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) VALUES (1, 1, 1, 1), (1, 4, 1, 2)",
		"INSERT INTO tags (name) VALUES ('sea')", "INSERT INTO photo_tags VALUES (1, 1), (4, 1)",
		"DELETE FROM outbox")
}

// action is one of the store's, with all but the key.
type action func(ctx context.Context, s *store.Store, key string) ([]store.Change, error)

func edit(id int64, title, description string) action {
	e := store.Edit{}
	if title != "-" {
		e.Title = &title
	}
	if description != "-" {
		e.Description = &description
	}
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.EditPhoto(ctx, key, id, e)
	}
}

func remove(id int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.DeletePhoto(ctx, key, id)
	}
}

func privacy(id int64, private bool) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.SetPhotoPrivate(ctx, key, id, private)
	}
}

// What an action says changed is what the outbox tells everybody, scope by scope, version by version; where it tells
// nothing, it is what a page that is read now depends on.
func TestActionsNameWhatChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		do    action
		photo int64
		want  string // of the row: title, description, private
		told  bool
	}{
		{"a title", edit(1, "New", "-"), 1, "New||false", true},
		{"a description", edit(1, "-", "Line\nline"), 1, "one|Line\nline|false", true},
		{"nothing is left of them", edit(1, "", ""), 1, "||false", true},
		{"a title as it was", edit(1, "one", "-"), 1, "one||false", false},
		{"a private photo's title", edit(4, "New", "-"), 4, "New||true", false},
		{"a photo is hidden", privacy(1, true), 1, "one||true", true},
		{"a hidden photo is hidden", privacy(3, true), 3, "three||true", false},
		{"a photo that never was public is hidden", privacy(4, true), 4, "||true", false},
		{"a photo is shown", privacy(3, false), 3, "three||false", true},
		{"a photo is shown for the first time", privacy(4, false), 4, "||false", true},
		{"a public photo is shown", privacy(1, false), 1, "one||false", false},
		{"a photo goes", remove(2), 2, "", true},
		{"a photo goes with its tags and places in albums", remove(1), 1, "", true},
		{"a hidden photo goes", remove(3), 3, "", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, pool := open(t)
			album(t, pool)
			got, err := c.do(t.Context(), s, "key")
			if err != nil {
				t.Fatal(err)
			}
			if row := one[string](t, pool, "SELECT coalesce((SELECT concat_ws('|', title, description, "+
				"private::text) FROM photos WHERE id = $1), '')", c.photo); row != c.want {
				t.Errorf("the row is %q, want %q", row, c.want)
			}
			depends := pages(t, s, c.photo)
			for _, change := range got {
				if v := version(depends, change.Scope); v != -1 && v != change.Version {
					t.Errorf("%+v: a page read now has version %d", change, v)
				}
			}
			if got[0].Scope != "user.ansel" {
				t.Errorf("the first change is %+v, want the owner's", got[0])
			}
			slices.SortFunc(got, func(a, b store.Change) int { return cmp.Compare(a.Scope, b.Scope) })
			var told []store.Change
			tell := func(b store.Batch) (bool, error) { told = b.Changes; return true, nil }
			if _, _, err := s.RelayOnce(t.Context(), "a.1", false, tell); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(told, got); c.told && diff != "" || !c.told && told != nil {
				t.Errorf("told everybody %v, returned %v", told, got)
			}
		})
	}
}

// pages reads what a user's page and a photo's page depend on.
func pages(t testing.TB, s *store.Store, photo int64) store.Depends {
	t.Helper()
	users, err := s.Users(t.Context(), []store.UserQuery{{Name: "ansel"}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := onePhoto(t.Context(), s, photo)
	if err != nil {
		t.Fatal(err)
	}
	return append(users[0].Depends, page.Depends...)
}

func TestActionsOnWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	album(t, pool)
	for _, do := range []action{edit(99, "x", "-"), remove(99), privacy(99, true)} {
		if changes, err := do(t.Context(), s, "key"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, %v", changes, err)
		}
	}
	if _, err := edit(1, "New", "-")(t.Context(), s, "key"); err != nil {
		t.Errorf("a key that was used for nothing: %v", err)
	}
}

// What the database refuses is an error that is not tried again, and leaves no key behind.
func TestActionsThatAreRefused(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	album(t, pool)
	var refused *pgconn.PgError
	if _, err := edit(1, string(make([]rune, 1)), "-")(t.Context(), s, "key"); !errors.As(err, &refused) {
		t.Errorf("a title with a zero byte: %v", err)
	}
	if _, err := edit(1, "New", "-")(t.Context(), s, "a key with spaces"); !errors.As(err, &refused) ||
		refused.Code != "23514" {
		t.Errorf("a key that is none: %v", err)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM action_keys"); n != 0 {
		t.Errorf("%d keys are remembered", n)
	}
}

// Actions and changes by hand, of photos that share an owner and albums, must not deadlock: they lock in one order.
// Postgres' own count tells, since an action that is a deadlock's victim is repeated in silence.
func TestActionsLockInOrder(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	own, pool := openPool(t, url), testenv.Pool(t, url)
	s := store.New(own)
	people(t, pool)
	const photos = 20
	post := func(ctx context.Context, id int) error {
		_, err := pool.Exec(ctx, `INSERT INTO photos (id, user_id, image_id, width, height, color)
			VALUES ($1, 1, $2, 40, 30, 255) ON CONFLICT DO NOTHING`, id, imageID(1))
		return err
	}
	for id := range photos {
		if err := post(t.Context(), id+1); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, pool, "INSERT INTO albums (user_id, title) VALUES (1, 'A'), (1, 'B')",
		"INSERT INTO tags (name) VALUES ('sea'), ('sky')")
	byHand := []string{
		"INSERT INTO album_photos SELECT a, id, 1, id FROM photos, generate_series(1, 2) AS a WHERE id = $1 ON " +
			"CONFLICT (album_id, photo_id) DO NOTHING",
		"UPDATE album_photos SET position = position + 1000 WHERE photo_id = $1 AND position < 1000",
		"DELETE FROM album_photos WHERE photo_id = $1 AND album_id = 1",
		"INSERT INTO photo_tags SELECT id, g FROM photos, generate_series(1, 2) AS g WHERE id = $1 " +
			"ON CONFLICT DO NOTHING",
		"DELETE FROM photo_tags WHERE photo_id = $1 AND tag_id = 1",
	}
	group, ctx := errgroup.WithContext(t.Context())
	for writer := range 6 {
		random := rand.New(rand.NewPCG(uint64(writer), 2))
		group.Go(func() error {
			for n := range 80 {
				id := 1 + random.IntN(photos)
				key, what := fmt.Sprintf("%d-%d", writer, n), random.IntN(8)
				var err error
				switch what {
				case 0:
					_, err = edit(int64(id), key, "-")(ctx, s, key)
				case 1:
					_, err = privacy(int64(id), n%2 == 0)(ctx, s, key)
				case 2:
					if _, err = remove(int64(id))(ctx, s, key); err == nil {
						err = post(ctx, id)
					}
				default:
					_, err = pool.Exec(ctx, byHand[what-3], id)
				}
				var refused *pgconn.PgError
				gone := errors.Is(err, store.ErrNotFound) || errors.As(err, &refused) && refused.Code == "23503"
				if err != nil && !gone { // by hand, a deadlock is an error
					return fmt.Errorf("action or statement %d: %w", what, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if wrong := one[int](t, pool, `SELECT count(*)::integer FROM albums a LEFT JOIN album_counts c ON c.album_id = a.id
		WHERE coalesce(c.photo_count, 0) <> (SELECT count(*) FROM album_photos m JOIN photos p ON p.id = m.photo_id
			WHERE m.album_id = a.id AND NOT private)`); wrong != 0 {
		t.Errorf("%d albums are counted wrongly", wrong)
	}
	if n := one[int](t, pool, "SELECT photo_count - (SELECT count(*) FROM photos WHERE user_id = 1 AND NOT "+
		"private)::integer FROM users WHERE id = 1"); n != 0 {
		t.Errorf("ansel's photos are miscounted by %d", n)
	}
	own.Close() // a connection counts when it idles for a second, or ends
	eventually(t, "the store's connections have ended", func() bool {
		return one[int](t, pool, "SELECT count(*)::integer FROM pg_stat_activity WHERE application_name = 'killr' "+
			"AND datname = current_database()") == 0
	})
	if n := one[int](t, pool,
		"SELECT deadlocks::integer FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

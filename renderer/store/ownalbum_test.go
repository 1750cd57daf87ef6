package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

func makeAlbum(title, parent string) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.MakeOwnAlbum(ctx, key, 1, title, "", parent)
	}
}

func editAlbum(id int64, e store.AlbumEdit) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.EditOwnAlbum(ctx, key, 1, id, e)
	}
}

func deleteAlbum(id int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.DeleteOwnAlbum(ctx, key, 1, id)
	}
}

func addTo(label string, ids ...int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.AddToOwnAlbum(ctx, key, 1, label, ids)
	}
}

func takeFrom(id int64, label string, ids ...int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.TakeFromOwnAlbum(ctx, key, 1, id, label, ids)
	}
}

func cover(id, photo int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.CoverOwnAlbum(ctx, key, 1, id, photo)
	}
}

func move(id int64, how store.AlbumMove, n int64, ids ...int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.MoveInOwnAlbum(ctx, key, 1, id, ids, how, n)
	}
}

// albumsOf1 is user 1's albums: each with its title, the album that it is in, its photos, its public ones counted, and
// the photo that stands for it.
func albumsOf1(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	return one[string](t, pool, `
		SELECT coalesce(string_agg(concat_ws(' ', a.title, 'in ' || p.title, (
				SELECT string_agg(m.photo_id::text, ',' ORDER BY m.position) FROM album_photos m
					WHERE m.album_id = a.id), '#' || n.photo_count, '*' || c.id), '; ' ORDER BY a.id), '')
		FROM albums a LEFT JOIN albums p ON p.id = a.parent LEFT JOIN album_counts n ON n.album_id = a.id
			LEFT JOIN LATERAL album_cover(a.id, a.cover_photo) AS c ON true WHERE a.user_id = 1`)
}

// TestOwnAlbums: each change of one's own albums has what follows from it follow, is told to everybody as it is told to
// the writer, and is done once for its key.
func TestOwnAlbums(t *testing.T) {
	t.Parallel()
	title, text, inside, outside := "Half Dome", "Line\nline", "trips", ""
	trips := makeAlbum("Trips", "")
	nested := []action{trips, editAlbum(1, store.AlbumEdit{Parent: &inside})}
	both := addTo("yosemite", 2, 1)
	for _, c := range []struct {
		what string
		do   []action // the last of them is tried
		want string   // what follows
		told string   // the scopes, ! for gone
	}{
		{"made", []action{trips}, "Yosemite 1,4 #1 *1; Trips", "user.ansel album.2"},
		{"made in another", []action{makeAlbum("Trips", "YOSEMITE")}, "Yosemite 1,4 #1 *1; Trips in Yosemite",
			"user.ansel album.2"},
		{"the same title in another", []action{makeAlbum("yosemite", "Yosemite")},
			"Yosemite 1,4 #1 *1; yosemite in Yosemite", "user.ansel album.2"},
		{"nothing", []action{editAlbum(1, store.AlbumEdit{})}, "Yosemite 1,4 #1 *1", "user.ansel"},
		{"texts", []action{editAlbum(1, store.AlbumEdit{Title: &title, Description: &text})},
			"Half Dome 1,4 #1 *1", "user.ansel"},
		{"into another", nested, "Yosemite in Trips 1,4 #1 *1; Trips *1", "user.ansel"},
		{"out of it", append(nested, editAlbum(1, store.AlbumEdit{Parent: &outside})),
			"Yosemite 1,4 #1 *1; Trips", "user.ansel"},
		{"deleted", []action{deleteAlbum(1)}, "", "user.ansel! album.1!"},
		{"the outer one deleted", append(nested, deleteAlbum(2)), "Yosemite 1,4 #1 *1", "user.ansel! album.2!"},
		{"added", []action{addTo("yosemite", 3, 2, 1, 5, 99)}, "Yosemite 1,4,3,2 #2 *1", "user.ansel"},
		{"added to one in another", append(nested, addTo("Trips / yosemite", 2)),
			"Yosemite in Trips 1,4,2 #2 *1; Trips *1", "user.ansel"},
		{"added to a new one", []action{addTo("New", 2, 1)}, "Yosemite 1,4 #1 *1; New 2,1 #2 *2",
			"user.ansel album.2"},
		{"taken out", []action{takeFrom(1, "", 1, 2, 99)}, "Yosemite 4 #0", "user.ansel"},
		{"taken out by the label", []action{takeFrom(0, "YOSEMITE", 4)}, "Yosemite 1 #1 *1", "user.ansel"},
		{"cover", []action{both, cover(1, 2)}, "Yosemite 1,4,2 #2 *2", "user.ansel"},
		{"no cover", []action{both, cover(1, 2), cover(1, 0)}, "Yosemite 1,4,2 #2 *1", "user.ansel"},
		{"the cover of one in another", append(nested, addTo("trips / yosemite", 2), cover(1, 2)),
			"Yosemite in Trips 1,4,2 #2 *2; Trips *2", "user.ansel"},
		{"the cover taken out", []action{both, cover(1, 2), takeFrom(1, "", 2)}, "Yosemite 1,4 #1 *1",
			"user.ansel"},
		{"the cover put into the bin", []action{both, cover(1, 2), change(store.OwnBin, "", 2)},
			"Yosemite 1,4,2 #1 *1", "user.ansel! photo.2!"},
		{"the cover back", []action{both, cover(1, 2), change(store.OwnBin, "", 2), change(store.OwnRestore, "", 2)},
			"Yosemite 1,4,2 #2 *2", "user.ansel photo.2"},
		{"moved", []action{both, move(1, store.MoveFirst, 0, 2)}, "Yosemite 2,1,4 #2 *2", "user.ansel"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, pool := ownAlbum(t)
			last := len(c.do) - 1
			for i, do := range c.do[:last] {
				if _, err := do(t.Context(), s, fmt.Sprint("before-", i)); err != nil {
					t.Fatal(err)
				}
			}
			exec(t, pool, "DELETE FROM outbox")
			changes, err := c.do[last](t.Context(), s, "key")
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, one := range changes {
				told = append(told, one.Scope+map[bool]string{true: "!"}[one.Gone])
			}
			if got := strings.Join(told, " "); got != c.told {
				t.Errorf("told %q, want %q", got, c.told)
			}
			for scope, version := range newest(t, pool) {
				if i := slices.IndexFunc(changes, func(c store.Change) bool { return c.Scope == scope }); i < 0 ||
					changes[i].Version < version || scope == "user.ansel" && changes[i].Version != version {
					t.Errorf("everybody hears of %s %d, the writer of %v", scope, version, changes)
				}
			}
			if again, err := c.do[last](t.Context(), s, "key"); err != nil || gocmp.Diff(changes, again) != "" {
				t.Errorf("asked for again: %v, %v", again, err)
			}
			if _, err = trips(t.Context(), s, "key"); !errors.Is(err, store.ErrConflict) && c.what != "made" {
				t.Errorf("the same key for something else: %v", err)
			}
			if got := albumsOf1(t, pool); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestOwnAlbumsRefused: what cannot be done to albums is refused, and nothing is left behind, not even a key. So is
// whatever somebody does to another's album, or to one that does not exist.
func TestOwnAlbumsRefused(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	exec(t, pool, "INSERT INTO albums (user_id, title, parent) VALUES (1, 'Inner', 1), (1, 'Other', NULL)",
		"INSERT INTO albums (user_id, title) VALUES (2, 'Theirs')",
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) VALUES (4, 5, 2, 1)")
	title, inner, outer, none, theirs := "Other", "yosemite / inner", "Yosemite", "None", "Theirs"
	dump := func() string {
		return one[string](t, pool, `SELECT (SELECT string_agg(a::text, ' ' ORDER BY id) FROM albums a)
			|| (SELECT string_agg(m::text, ' ' ORDER BY album_id, photo_id) FROM album_photos m)
			|| (SELECT count(*) FROM action_keys)`)
	}
	before := dump()
	for _, c := range []struct {
		what string
		do   action
		want error
	}{
		{"a title that is taken", makeAlbum("YOSEMITE", ""), store.ErrTaken},
		{"a title that is taken in another", makeAlbum("inner", "yosemite"), store.ErrTaken},
		{"too deep", makeAlbum("New", inner), store.ErrTooDeep},
		{"in none", makeAlbum("New", none), store.ErrNoParent},
		{"in another's", makeAlbum("New", theirs), store.ErrNoParent},
		{"a title of another", editAlbum(1, store.AlbumEdit{Title: &title}), store.ErrTaken},
		{"into itself", editAlbum(1, store.AlbumEdit{Parent: &outer}), store.ErrTooDeep},
		{"into its own", editAlbum(1, store.AlbumEdit{Parent: &inner}), store.ErrTooDeep},
		{"into one that is in another", editAlbum(3, store.AlbumEdit{Parent: &inner}), store.ErrTooDeep},
		{"with albums into another", editAlbum(1, store.AlbumEdit{Parent: &title}), store.ErrTooDeep},
		{"into another's", editAlbum(1, store.AlbumEdit{Parent: &theirs}), store.ErrNoParent},
		{"another's edited", editAlbum(4, store.AlbumEdit{}), store.ErrNotFound},
		{"none edited", editAlbum(9, store.AlbumEdit{}), store.ErrNotFound},
		{"another's deleted", deleteAlbum(4), store.ErrNotFound},
		{"another's photo", addTo("Yosemite", 5, 99), store.ErrNotFound},
		{"another's photo to a new one", addTo("New", 5), store.ErrNotFound},
		{"from another's", takeFrom(4, "", 5), store.ErrNotFound},
		{"from none", takeFrom(0, "New", 1), store.ErrNotFound},
		{"a private cover", cover(1, 4), store.ErrHidden},
		{"a cover from elsewhere", cover(1, 2), store.ErrNotFound},
		{"another's cover", cover(4, 5), store.ErrNotFound},
		{"moved in another's", move(4, store.MoveFirst, 0, 5), store.ErrNotFound},
		{"moved from elsewhere", move(1, store.MoveFirst, 0, 2), store.ErrNotFound},
		{"moved before itself", move(1, store.MoveBefore, 1, 1), store.ErrNotFound},
		{"moved after one from elsewhere", move(1, store.MoveAfter, 2, 1), store.ErrNotFound},
	} {
		if got, err := c.do(ctx, s, c.what); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", c.what, got, err)
		}
	}
	exec(t, pool, "UPDATE users SET gone_at = now() WHERE id = 1")
	for i, do := range []action{makeAlbum("New", ""), editAlbum(1, store.AlbumEdit{}), deleteAlbum(1), addTo("New", 1),
		takeFrom(1, "", 1), takeFrom(0, "Yosemite", 1), cover(1, 0), move(1, store.MoveLast, 0, 1)} {
		if got, err := do(ctx, s, fmt.Sprint("gone-", i)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%d, of a user who is gone: %v, %v", i, got, err)
		}
	}
	if after := dump(); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

// TestMoveInOwnAlbum: photos are at the places where they were moved to, and a move writes their rows alone, unless
// there is no gap for them.
func TestMoveInOwnAlbum(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	const photos, moves = 40, 250
	exec(t, pool, fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color, private)
		SELECT 1, '%s', 40, 30, 255, g %% 7 = 0 FROM generate_series(6, %d) g`, imageID(1), photos),
		"DELETE FROM album_photos",
		fmt.Sprintf("INSERT INTO album_photos SELECT 1, g, 1, g FROM generate_series(6, %d) g", photos),
		"UPDATE photos SET private = true, private_before = false, binned_at = now() WHERE id = 20")
	var order []int64 // of those that are not in the bin
	for id := int64(6); id <= photos; id++ {
		if id != 20 {
			order = append(order, id)
		}
	}
	positions := func() map[string]int64 {
		return one[map[string]int64](t, pool, "SELECT jsonb_object_agg(photo_id, position) FROM album_photos")
	}
	dice, spread := rand.New(rand.NewPCG(3, 4)), 0
	for i := range moves {
		how := []store.AlbumMove{store.MoveFirst, store.MoveLast, store.MoveEarlier, store.MoveLater, store.MoveBefore,
			store.MoveAfter, store.MovePlace}[dice.IntN(7)]
		var moved, rest []int64
		for _, at := range dice.Perm(len(order))[:1+dice.IntN(3)] {
			moved = append(moved, order[at])
		}
		first, last := len(order), 0
		for at, id := range order {
			if slices.Contains(moved, id) {
				first, last = min(first, at), max(last, at)
			} else {
				rest = append(rest, id)
			}
		}
		sorted := slices.DeleteFunc(slices.Clone(order), func(id int64) bool { return !slices.Contains(moved, id) })
		n, at := int64(0), 0
		switch how {
		case store.MoveLast:
			at = len(rest)
		case store.MoveEarlier:
			at = max(first-1, 0)
		case store.MoveLater: // behind the one that follows the last of them
			at = min(last+1-len(moved)+1, len(rest))
		case store.MoveBefore, store.MoveAfter:
			n = rest[dice.IntN(len(rest))]
			at = slices.Index(rest, n)
			if how == store.MoveAfter {
				at++
			}
		case store.MovePlace:
			n = int64(1 + dice.IntN(len(order)+5))
			at = min(int(n)-1, len(rest))
		}
		order = slices.Insert(slices.Clone(rest), at, sorted...)
		before := positions()
		if _, err := move(1, how, n, moved...)(t.Context(), s, fmt.Sprint("move-", i)); err != nil {
			t.Fatal(err)
		}
		written := 0
		for id, position := range positions() {
			if before[id] != position {
				written++
			}
		}
		if written > len(moved) {
			spread++
		}
		page, err := s.OwnAlbum(t.Context(), 1, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, p := range page.Photos {
			got = append(got, p.ID)
		}
		if !slices.Equal(got, order) {
			t.Fatalf("move %d, %v %s %d: %v, want %v", i, moved, how, n, got, order)
		}
	}
	if spread == 0 || spread > moves/20 {
		t.Errorf("%d of %d moves have written other rows", spread, moves)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM album_photos WHERE photo_id = 20"); n != 1 {
		t.Error("the photo in the bin has lost its place")
	}
}

// TestOwnAlbumsAtOnce: changes of the same albums at the same time wait for each other and never fail, an album with a
// title is made once, and what is deleted meanwhile leaves no place behind.
func TestOwnAlbumsAtOnce(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	exec(t, pool, "DELETE FROM album_photos", fmt.Sprintf(
		`INSERT INTO photos (user_id, image_id, width, height, color) SELECT 1, '%s', 40, 30, 255
			FROM generate_series(6, 60)`, imageID(1)))
	if _, err := addTo("yosemite", 10, 11, 12, 13, 14, 15)(t.Context(), s, "begin"); err != nil {
		t.Fatal(err)
	}
	var repeated atomic.Int64
	s.OnRetry(func(error) { repeated.Add(1) })
	var group errgroup.Group
	for i := range 24 {
		group.Go(func() error {
			id := int64(10 + i%6)
			do := []action{
				addTo("Together", int64(30+i), int64(54-i)),
				move(1, store.MoveFirst, 0, id),
				move(1, store.MovePlace, int64(1+i%5), id),
				change(store.OwnPrivate, "", int64(30+i%4)),
				addTo("Yosemite / Inner", int64(20+i)), // an album with that title: there is none inside
				change(store.OwnTag, "together", 12, 11, int64(20+i)),
			}
			for nr, one := range do {
				if _, err := one(t.Context(), s, fmt.Sprint(i, "-", nr)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := repeated.Load(); n > 0 {
		t.Errorf("%d were the victims of a deadlock", n)
	}
	if got := one[string](t, pool, "SELECT string_agg(title, ', ' ORDER BY title) FROM albums"); got !=
		"Together, Yosemite, Yosemite / Inner" {
		t.Errorf("albums %s", got)
	}
	if wrong := one[int](t, pool, `SELECT count(*)::integer FROM albums a JOIN album_counts c ON c.album_id = a.id
		WHERE c.photo_count <> (SELECT count(*) FROM album_photos m JOIN photos p ON p.id = m.photo_id
			WHERE m.album_id = a.id AND NOT p.private)`); wrong != 0 {
		t.Errorf("%d albums are counted wrong", wrong)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM album_photos WHERE album_id = 1"); n != 6 {
		t.Errorf("%d photos are in the album that was ordered", n)
	}
}

// TestOwnAlbumReads: a person sees all photos of their album once, in its order, without those in the bin; and their
// albums.
func TestOwnAlbumReads(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	exec(t, pool, fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color, private)
		SELECT 1, '%s', 40, 30, 255, g %% 7 = 0 FROM generate_series(6, 150) g`, imageID(1)),
		"INSERT INTO album_photos SELECT 1, g, 1, 1000 - g FROM generate_series(6, 150) g",
		"UPDATE photos SET private = true, private_before = false, binned_at = now() WHERE id IN (6, 101, 4)",
		"INSERT INTO albums (user_id, title, parent) VALUES (1, 'Inner', 1), (1, 'Another', 1)",
		"INSERT INTO albums (user_id, title) SELECT 1, 'Album ' || g FROM generate_series(1, 60) g")
	want := one[[]int64](t, pool, `SELECT array_agg(m.photo_id ORDER BY m.position) FROM album_photos m
		JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL`)
	var got []int64
	var last *store.OwnAlbumPage
	for after := int64(0); ; {
		page, err := s.OwnAlbum(ctx, 1, 1, after, 0)
		if err != nil || page.Place != int64(len(got)+1) || page.Total != int64(len(want)) ||
			(page.Previous != 0) != (after != 0) {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, p := range page.Photos {
			got = append(got, p.ID)
		}
		if after, last = page.Next, page; after == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("photos %v, want %v", got, want)
	}
	back, err := s.OwnAlbum(ctx, 1, 1, 0, last.Previous)
	if err != nil || len(back.Photos) != store.PageSize || back.Next == 0 || back.Previous == 0 ||
		back.Place != last.Place-store.PageSize {
		t.Errorf("the page before the last: %d photos from place %d, %v", len(back.Photos), back.Place, err)
	}
	beyond, err := s.OwnAlbum(ctx, 1, 1, 5000, 0)
	if err != nil || len(beyond.Photos) != 0 || beyond.Next != 0 || beyond.Total != int64(len(want)) {
		t.Errorf("beyond the end: %+v, %v", beyond, err)
	}
	if last.Title != "Yosemite" || len(last.Inside) != 2 || last.Inside[0].Title != "Inner" || last.Parent != "" {
		t.Errorf("%+v", last)
	}
	if inner, err := s.OwnAlbum(ctx, 1, 2, 0, 0); err != nil || inner.Parent != "Yosemite" || inner.Total != 0 {
		t.Errorf("%+v, %v", inner, err)
	}
	for _, c := range [][2]int64{{2, 1}, {1, 99}} {
		if p, err := s.OwnAlbum(ctx, c[0], c[1], 0, 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("album %d for user %d: %v, %v", c[1], c[0], p, err)
		}
	}

	first, older, err := s.OwnAlbums(ctx, 1, 0)
	if err != nil || len(first) != store.PageSize || first[0].Title != "Album 60" || first[0].PhotoCount != 0 ||
		first[0].PhotoID != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, end, err := s.OwnAlbums(ctx, 1, older)
	if err != nil || len(second) != 13 || end != 0 || second[11].Title != "Album 1" {
		t.Fatalf("%+v, %v", second, err)
	}
	if y := second[12]; y.Title != "Yosemite" || y.PhotoCount == 0 || y.PhotoID == 0 || y.Width != 40 ||
		len(y.Inside) != 2 || y.Inside[1].Title != "Another" {
		t.Errorf("%+v", y)
	}
	names, err := s.OwnAlbumNames(ctx, 1, false)
	if err != nil || len(names) != 50 || names[0] != "Album 11" {
		t.Errorf("%q, %v", names, err)
	}
	exec(t, pool, "DELETE FROM albums WHERE title LIKE 'Album%'")
	for outer, want := range map[bool]string{
		true: "Yosemite", false: "Yosemite, Yosemite / Another, Yosemite / Inner",
	} {
		if names, err := s.OwnAlbumNames(ctx, 1, outer); err != nil || strings.Join(names, ", ") != want {
			t.Errorf("%q, %v", names, err)
		}
	}
}

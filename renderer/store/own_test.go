package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

// ownAlbum is album with vivian's photo 5.
func ownAlbum(t testing.TB) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	s, pool := open(t)
	album(t, pool)
	exec(t, pool, photoSQL("2", "five"), "DELETE FROM outbox")
	return s, pool
}

func change(what store.OwnChange, tag string, ids ...int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		switch what {
		case store.OwnBin, store.OwnRestore:
			return s.ChangeBin(ctx, key, 1, ids, what)
		case store.OwnRemove, store.OwnEmpty:
			changes, _, err := s.RemovePhotos(ctx, key, 1, ids, what, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
				hashed(key))
			return changes, err
		}
		return s.ChangeOwnPhotos(ctx, key, 1, ids, what, tag)
	}
}

func editOwn(id int64, e store.OwnEdit) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.EditOwnPhoto(ctx, key, 1, id, e)
	}
}

// derived is what follows from photos: of each user the photos that are counted, of the album and of each tag likewise,
// and the ids that a search for "e", which is in each title, could find.
func derived(t *testing.T, s *store.Store, pool *pgxpool.Pool) string {
	t.Helper()
	index(t, s)
	for one[int](t, pool, "SELECT count_tags(10000)::integer") > 0 {
	}
	return one[string](t, pool, `
		SELECT concat_ws('; ', (SELECT string_agg(name || ' ' || photo_count, ', ' ORDER BY id) FROM users),
			'album ' || coalesce((SELECT photo_count FROM album_counts WHERE album_id = 1), 0),
			(SELECT string_agg(g.name || ' ' || c.photo_count, ', ' ORDER BY g.name)
				FROM tag_counts c JOIN tags g ON g.id = c.tag_id WHERE c.photo_count > 0),
			'found ' || (SELECT string_agg(photo_id::text, ' ' ORDER BY photo_id) FROM photo_search))`)
}

// TestOwnPhotos: each change of one's own photos has what follows from it follow, is told to everybody as it is told to
// the writer, and is done once for its key.
func TestOwnPhotos(t *testing.T) {
	t.Parallel()
	title, text, hide, show := "New", "Line\nline", true, false
	day, none, tags, noTags := store.Day("2026-02-28"), store.Day(""), []string{"sea", "blue hour"}, []string{}
	bin := change(store.OwnBin, "", 1, 2, 4, 5)
	for _, c := range []struct {
		what string
		do   []action // the last of them is tried
		want string   // what follows
		told string   // the scopes, ! for gone
	}{
		{"nothing", []action{editOwn(1, store.OwnEdit{})}, "ansel 2, vivian 1; album 1; sea 1; found 1 2 5",
			"user.ansel"},
		{"texts", []action{editOwn(1, store.OwnEdit{Title: &title, Description: &text, Taken: &day})},
			"ansel 2, vivian 1; album 1; sea 1; found 1 2 5", "user.ansel"},
		{"tags", []action{editOwn(2, store.OwnEdit{Tags: &tags})},
			"ansel 2, vivian 1; album 1; blue hour 1, sea 2; found 1 2 5", "user.ansel"},
		{"no tags", []action{editOwn(1, store.OwnEdit{Tags: &noTags, Taken: &none})},
			"ansel 2, vivian 1; album 1; found 1 2 5", "user.ansel"},
		{"private", []action{editOwn(1, store.OwnEdit{Tags: &tags, Private: &hide})},
			"ansel 1, vivian 1; album 0; found 2 5", "user.ansel! photo.1!"},
		{"public", []action{editOwn(4, store.OwnEdit{Tags: &tags, Private: &show})},
			"ansel 3, vivian 1; album 2; blue hour 1, sea 2; found 1 2 4 5", "user.ansel photo.4"},
		{"several tagged", []action{change(store.OwnTag, "lake", 1, 2, 3, 5)},
			"ansel 2, vivian 1; album 1; lake 2, sea 1; found 1 2 5", "user.ansel photo.1 photo.2 photo.3"},
		{"tagged again", []action{change(store.OwnTag, "lake", 1), change(store.OwnTag, "lake", 1, 2)},
			"ansel 2, vivian 1; album 1; lake 2, sea 1; found 1 2 5", "user.ansel photo.2"},
		{"several untagged", []action{change(store.OwnUntag, "sea", 1, 2, 4, 5)},
			"ansel 2, vivian 1; album 1; found 1 2 5", "user.ansel photo.1 photo.4"},
		{"a tag of none", []action{change(store.OwnUntag, "lake", 1)},
			"ansel 2, vivian 1; album 1; sea 1; found 1 2 5", "user.ansel"},
		{"several private", []action{change(store.OwnPrivate, "", 1, 2, 3, 5)},
			"ansel 0, vivian 1; album 0; found 5", "user.ansel! photo.1! photo.2!"},
		{"several public", []action{change(store.OwnPublic, "", 1, 3, 4)},
			"ansel 4, vivian 1; album 2; sea 2; found 1 2 3 4 5", "user.ansel photo.3 photo.4"},
		{"bin", []action{bin}, "ansel 0, vivian 1; album 0; found 5", "user.ansel! photo.1! photo.2! photo.4"},
		{"back", []action{bin, change(store.OwnRestore, "", 1, 4)},
			"ansel 1, vivian 1; album 1; sea 1; found 1 5", "user.ansel photo.1 photo.4"},
		{"removed", []action{bin, change(store.OwnRemove, "", 1, 2, 3)}, "ansel 0, vivian 1; album 0; found 5",
			"user.ansel"},
		{"emptied", []action{bin, change(store.OwnEmpty, "")}, "ansel 0, vivian 1; album 0; found 5", "user.ansel"},
		{"nothing to empty", []action{change(store.OwnEmpty, "")}, "ansel 2, vivian 1; album 1; sea 1; found 1 2 5",
			"user.ansel"},
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
					changes[i].Version != version {
					t.Errorf("everybody hears of %s %d, the writer of %v", scope, version, changes)
				}
			}
			if again, err := c.do[last](t.Context(), s, "key"); err != nil || gocmp.Diff(changes, again) != "" {
				t.Errorf("asked for again: %v, %v", again, err)
			}
			_, err = change(store.OwnTag, "other", 1)(t.Context(), s, "key")
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("the same key for something else: %v", err)
			}
			if got := derived(t, s, pool); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// newest is what the outbox tells: of each scope the highest version.
func newest(t *testing.T, pool *pgxpool.Pool) map[string]int64 {
	t.Helper()
	return one[map[string]int64](t, pool, `SELECT coalesce(jsonb_object_agg(scope, version), '{}')
		FROM (SELECT scope, max(version) AS version FROM outbox GROUP BY scope) AS o`)
}

// TestOwnPhotosOfOthers: nobody changes the photo of another, or one that does not exist, or is in the bin, or is of a
// user who is gone; and nothing is left behind, not even a tag.
func TestOwnPhotosOfOthers(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	if _, err := change(store.OwnBin, "", 2)(ctx, s, "bin"); err != nil {
		t.Fatal(err)
	}
	title, tags := "Mine", []string{"mine"}
	check := func(ids ...int64) {
		t.Helper()
		before := one[string](t, pool, "SELECT string_agg(p::text, ' ' ORDER BY id) FROM photos p")
		for _, id := range ids {
			for what, do := range map[string]action{
				"edit": editOwn(id, store.OwnEdit{Title: &title, Tags: &tags}),
				"tag":  change(store.OwnTag, "mine", id), "bin": change(store.OwnBin, "", id),
				"public": change(store.OwnPublic, "", id),
			} {
				if got, err := do(ctx, s, fmt.Sprint(what, id)); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s of %d: %v, %v", what, id, got, err)
				}
			}
			if p, err := s.OwnPhoto(ctx, 1, id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("read: %v, %v", p, err)
			}
		}
		for _, id := range []int64{1, 5, 99} { // not in the bin
			for _, what := range []store.OwnChange{store.OwnRestore, store.OwnRemove} {
				if got, err := change(what, "", id)(ctx, s, fmt.Sprint(what, id)); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s of %d: %v, %v", what, id, got, err)
				}
			}
		}
		if n := one[int](t, pool, "SELECT count(*)::integer FROM tags WHERE name = 'mine'"); n != 0 {
			t.Error("a tag is left behind")
		}
		if n := one[int](t, pool, "SELECT count(*)::integer FROM action_keys WHERE key <> 'bin'"); n != 0 {
			t.Error("a key is left behind")
		}
		if after := one[string](t, pool, "SELECT string_agg(p::text, ' ' ORDER BY id) FROM photos p"); after != before {
			t.Errorf("%s became %s", before, after)
		}
	}
	check(5, 99, 2)
	for id, want := range map[int64]error{1: nil, 2: nil, 4: nil, 5: store.ErrNotFound, 99: store.ErrNotFound} {
		if p, err := s.OwnPicture(ctx, 1, id); !errors.Is(err, want) || err == nil && p != imageID(1) {
			t.Errorf("the picture of %d: %v, %v", id, p, err)
		}
	}
	exec(t, pool, "UPDATE users SET gone_at = now() WHERE id = 1")
	check(5)
	if _, err := change(store.OwnTag, "mine", 1)(ctx, s, "gone"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a user who is gone: %v", err)
	}
	if p, err := s.OwnPicture(ctx, 1, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the picture of a user who is gone: %v, %v", p, err)
	}
}

// TestOwnPhotoRead: what was written is read, and what was not given stays.
func TestOwnPhotoRead(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	taken := time.Date(2026, 2, 28, 17, 4, 5, 0, time.UTC)
	exec(t, pool, "UPDATE photos SET taken_at = '2026-02-28 17:04:05Z' WHERE id = 1")
	text, day, tags, hide := "Granite", store.Day("2026-02-28"), []string{"sky", "ÉTÉ", "sea"}, true
	edit := func(key string, e store.OwnEdit) *store.OwnPhoto {
		t.Helper()
		if _, err := s.EditOwnPhoto(ctx, key, 1, 1, e); err != nil {
			t.Fatal(err)
		}
		p, err := s.OwnPhoto(ctx, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := edit("a", store.OwnEdit{Description: &text, Taken: &day, Tags: &tags, Private: &hide})
	if p.Title != "one" || p.Description != text || !p.Private || p.TakenAt == nil ||
		!slices.Equal(p.Tags, []string{"sea", "sky", "été"}) || !p.TakenAt.Equal(taken) {
		t.Errorf("%+v, taken %v", p, p.TakenAt)
	}
	day = "1969-07-20"
	if p := edit("b", store.OwnEdit{Taken: &day}); p.TakenAt == nil ||
		!p.TakenAt.Equal(time.Date(1969, 7, 20, 0, 0, 0, 0, time.UTC)) || !p.Private || len(p.Tags) != 3 {
		t.Errorf("%+v, taken %v", p, p.TakenAt)
	}
	day = ""
	if p := edit("c", store.OwnEdit{Taken: &day}); p.TakenAt != nil {
		t.Errorf("taken %v", p.TakenAt)
	}
	if got, err := s.OwnTags(ctx, 1); err != nil || !slices.Equal(got, []string{"sea", "sky", "été"}) {
		t.Errorf("tags %q, %v", got, err)
	}
	if got, err := s.OwnTags(ctx, 2); err != nil || len(got) != 0 {
		t.Errorf("vivian's tags %q, %v", got, err)
	}
	exec(t, pool, "INSERT INTO tags (name) SELECT 't' || g FROM generate_series(1, 99) g",
		"INSERT INTO photo_tags SELECT 1, id FROM tags WHERE name ~ '^t[0-9]' LIMIT 97")
	for _, key := range []string{"d", "e"} { // 100 and 0 so far, on photos 1 and 2
		if _, err := change(store.OwnTag, "over "+key, 1, 2)(ctx, s, key); err != nil {
			t.Error(err)
		}
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM photo_tags WHERE photo_id = 1"); n != 100 {
		t.Errorf("%d tags are on a photo that had 100", n)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM photo_tags WHERE photo_id = 2"); n != 2 {
		t.Errorf("%d tags are on the other photo", n)
	}
}

// TestOwnBin: a person sees in the bin what they have deleted, the newest first, and nobody else does.
func TestOwnBin(t *testing.T) {
	t.Parallel()
	s, _ := ownAlbum(t)
	ctx := t.Context()
	for _, ids := range [][]int64{{1, 3, 4}, {2}} {
		if _, err := change(store.OwnBin, "", ids...)(ctx, s, fmt.Sprint("bin-", ids[0])); err != nil {
			t.Fatal(err)
		}
	}
	bin, err := s.OwnBin(ctx, 1, store.OwnPosition{})
	if all := bin.Photos; err != nil || len(all) != 4 || all[0].ID != 2 || all[1].ID != 4 || all[2].ID != 3 ||
		!all[1].Private || all[3].Private || all[3].Binned.IsZero() || bin.Count != 4 ||
		!bin.Newest.Equal(all[0].Binned) || !bin.Older.IsZero() {
		t.Errorf("the bin %+v, %v", bin, err)
	}
	if bin, err := s.OwnBin(ctx, 2, store.OwnPosition{}); err != nil || len(bin.Photos) != 0 || bin.Count != 0 {
		t.Errorf("vivian's bin %+v, %v", bin, err)
	}
}

// TestLargeBin: of a bin of many pages a person sees all, and emptying it leaves what was put there since.
func TestLargeBin(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	exec(t, pool, fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color, private, private_before,
			binned_at)
		SELECT 1, '%s', 40, 30, 255, true, false, '2026-01-01Z'::timestamptz + g / 9 * interval '1 s'
		FROM generate_series(1, 250) g`, imageID(1)))
	var ids []int64
	var seen time.Time
	for at := (store.OwnPosition{}); ; {
		l, err := s.OwnBin(ctx, 1, at)
		if err != nil || l.Count != 250 || len(l.Photos) > store.PageSize {
			t.Fatal(len(l.Photos), l.Count, err)
		}
		for _, p := range l.Photos {
			ids = append(ids, p.ID)
		}
		if at, seen = l.Older, l.Newest; at.IsZero() {
			break
		}
	}
	if want := one[[]int64](t, pool, "SELECT array_agg(id ORDER BY binned_at DESC, id DESC) FROM photos "+
		"WHERE binned_at IS NOT NULL"); !slices.Equal(ids, want) {
		t.Errorf("%d photos, want %d", len(ids), len(want))
	}
	_, err := change(store.OwnBin, "", 1)(ctx, s, "meanwhile")
	if err != nil {
		t.Fatal(err)
	}
	var receipt int64
	for range 2 { // the second time is a repetition
		if _, receipt, err = s.RemovePhotos(ctx, "empty", 1, nil, store.OwnEmpty, seen, hashed("empty")); err != nil {
			t.Fatal(err)
		}
	}
	says := func(count, deleted, left int, done bool) {
		t.Helper()
		l, err := s.OwnBin(ctx, 1, store.OwnPosition{})
		if err != nil || l.Count != count {
			t.Errorf("the bin has %d, %v; want %d", l.Count, err, count)
		}
		d, err := s.PhotoDeletion(ctx, 1, receipt)
		if err != nil || d.Had.Photos != deleted || d.Left != left || d.RowsGoneAt.IsZero() == done {
			t.Errorf("the receipt says %+v, %v", d, err)
		}
	}
	says(51, 200, 50, false)
	if next, err := s.NextUnknown(ctx, 2); err != nil || len(next) != 0 {
		t.Errorf("edges are asked before the last row is gone: %+v, %v", next, err)
	}
	kept := ids[len(ids)-1]
	if _, err := change(store.OwnRestore, "", kept)(ctx, s, "back"); err != nil {
		t.Fatal(err)
	}
	if last, err := s.DeleteRows(ctx, 0); err != nil || last != receipt {
		t.Errorf("a step is about %d, %v", last, err)
	}
	says(1, 249, 0, true)
	if last, err := s.DeleteRows(ctx, 0); err != nil || last != 0 {
		t.Errorf("a step after the last is about %d, %v", last, err)
	}
	if n := one[int](t, pool, fmt.Sprintf("SELECT count(*)::integer FROM photos WHERE id IN (1, %d)", kept)); n != 2 {
		t.Error("what was put there after the page was shown is gone, or what was taken back since")
	}
	_, none, err := s.RemovePhotos(ctx, "none", 1, nil, store.OwnEmpty, seen, hashed("none"))
	if none != 0 || err != nil {
		t.Errorf("of an empty bin there is the receipt %d, %v", none, err)
	}
	exec(t, pool, "UPDATE users SET gone_at = now() WHERE id = 1")
	if _, _, err := s.RemovePhotos(ctx, "gone", 1, nil, store.OwnEmpty, seen, hashed("gone")); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("the bin of somebody who is gone: %v", err)
	}
}

func hashed(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// TestEmptyBins: what is in a bin for long is deleted for good, with its file; an operator who makes a photo public
// takes it out.
func TestEmptyBins(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	if _, err := change(store.OwnBin, "", 1, 2, 4)(ctx, s, "bin"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetPhotoPrivate(ctx, "public", 2, false); err != nil {
		t.Fatal(err)
	}
	if n, err := s.EmptyBins(ctx, time.Hour); n != 0 || err != nil {
		t.Errorf("%d deleted too early, %v", n, err)
	}
	exec(t, pool, "UPDATE photos SET binned_at = binned_at - interval '2 hours' WHERE id IN (1, 4)")
	if n, err := s.EmptyBins(ctx, time.Hour); n != 2 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	if got := one[string](t, pool, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM photos"); got != "2 3 5" {
		t.Errorf("photos %s are left", got)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM unused_images"); n != 1 {
		t.Errorf("%d originals are to be removed", n)
	}
	if got := derived(t, s, pool); got != "ansel 1, vivian 1; album 0; found 2 5" {
		t.Error(got)
	}
}

// TestOwnPhotosAtOnce: changes of the same photos and tags at the same time wait for each other and never fail.
func TestOwnPhotosAtOnce(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	var repeated atomic.Int64
	s.OnRetry(func(error) { repeated.Add(1) })
	var group errgroup.Group
	for i := range 24 {
		group.Go(func() error {
			ids, tag := []int64{1, 2, 3, 4}, fmt.Sprint("tag ", i%3)
			if i%2 == 0 {
				slices.Reverse(ids)
			}
			what := []store.OwnChange{store.OwnTag, store.OwnPrivate, store.OwnUntag, store.OwnPublic}[i%4]
			if _, err := change(what, tag, ids...)(t.Context(), s, fmt.Sprint("change-", i)); err != nil {
				return err
			}
			tags := []string{"tag 2", "tag 0", fmt.Sprint("other ", i%5)}
			_, err := editOwn(int64(i%4+1), store.OwnEdit{Tags: &tags})(t.Context(), s, fmt.Sprint("edit-", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := repeated.Load(); n > 0 {
		t.Errorf("%d were the victims of a deadlock", n)
	}
	index(t, s)
	for one[int](t, pool, "SELECT count_tags(10000)::integer") > 0 {
	}
	if wrong := one[int](t, pool, `SELECT count(*)::integer FROM tags g LEFT JOIN tag_counts c ON c.tag_id = g.id
		WHERE coalesce(c.photo_count, 0) <> (SELECT count(*) FROM photo_tags t JOIN photos p ON p.id = t.photo_id
			WHERE t.tag_id = g.id AND NOT p.private)`); wrong != 0 {
		t.Errorf("%d tags are counted wrong", wrong)
	}
}

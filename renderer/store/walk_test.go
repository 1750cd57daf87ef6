package store_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flickrkillr/renderer/store"
)

// listings are the pages of photos that a visitor can leaf through, each with the full listing as SQL.
func listings(s *store.Store) map[string]struct {
	read func(ctx context.Context, before, after int64) (store.Listing, error)
	all  string
} {
	type listing = struct {
		read func(ctx context.Context, before, after int64) (store.Listing, error)
		all  string
	}
	return map[string]listing{
		"home": {func(ctx context.Context, before, after int64) (store.Listing, error) {
			p, err := s.Home(ctx, before, after)
			return p.Listing, err
		}, "SELECT array_agg(id ORDER BY id DESC) FROM photos WHERE NOT private"},
		"user": {func(ctx context.Context, before, after int64) (store.Listing, error) {
			p, err := s.Users(ctx, []store.UserQuery{{Name: "nobody"}, {Name: "u1", Before: before, After: after}})
			if err != nil {
				return store.Listing{}, err
			}
			return p[1].Listing, nil
		}, "SELECT array_agg(id ORDER BY id DESC) FROM photos WHERE NOT private AND user_id = 1"},
		"tag": {func(ctx context.Context, before, after int64) (store.Listing, error) {
			p, err := s.Tag(ctx, word(0)+" 0", before, after)
			return p.Listing, err
		}, "SELECT array_agg(id ORDER BY id DESC) FROM photos JOIN photo_tags ON photo_id = id " +
			"WHERE NOT private AND tag_id = 1"},
	}
}

// Leafing through a listing shows each photo once, in order, whichever way one goes.
func TestWalk(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 300, 5000)
	for name, l := range listings(s) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			want := one[[]int64](t, pool, l.all)
			var got []int64
			var pages []store.Listing
			for before := int64(0); ; {
				page, err := l.read(ctx, before, 0)
				if err != nil {
					t.Fatal(err)
				}
				if before == 0 && page.Newer != 0 {
					t.Errorf("the first page has a newer one, %d", page.Newer)
				}
				got, pages = append(got, ids(page.Photos)...), append(pages, page)
				if before = page.Older; before == 0 {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("older and older: %s", diff)
			}
			if len(pages) < 3 {
				t.Fatalf("%d photos make no walk", len(got))
			}
			got = slices.Clone(ids(pages[len(pages)-1].Photos))
			for after := pages[len(pages)-1].Newer; after != 0; {
				page, err := l.read(ctx, 0, after)
				if err != nil {
					t.Fatal(err)
				}
				if page.Older == 0 {
					t.Errorf("after %d nothing is older", after)
				}
				got = append(slices.Clone(ids(page.Photos)), got...)
				after = page.Newer
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("newer and newer: %s", diff)
			}
			beyond, err := l.read(ctx, 1, 0)
			if err != nil || len(beyond.Photos) != 0 || beyond.Older != 0 || beyond.Newer != 0 &&
				beyond.Newer != want[len(want)-1]-1 && beyond.Newer >= want[len(want)-1] {
				t.Errorf("before the oldest: %+v %v", beyond, err)
			}
			beyond, err = l.read(ctx, 0, want[0])
			if err != nil || len(beyond.Photos) != 0 || beyond.Newer != 0 || beyond.Older != want[0]+1 {
				t.Errorf("after the newest: %+v %v", beyond, err)
			}
		})
	}
}

func TestWalkAlbum(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 300, 20000)
	ctx := t.Context()
	album := one[int64](t, pool, "SELECT album_id FROM album_counts ORDER BY photo_count DESC LIMIT 1")
	want := one[[]int64](t, pool, `SELECT array_agg(id ORDER BY position) FROM photos
		JOIN album_photos ON photo_id = id WHERE NOT private AND album_id = $1`, album)
	var got []int64
	var last store.AlbumPage
	for after := int64(0); ; {
		page, err := s.Album(ctx, album, after, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, last = append(got, ids(page.Photos)...), page
		if (after == 0) != (page.Previous == 0) {
			t.Errorf("after %d the page before is %d", after, page.Previous)
		}
		if after = page.Next; after == 0 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) <= 2*store.PageSize {
		t.Fatalf("forwards, %d photos: %s", len(want), diff)
	}
	got = slices.Clone(ids(last.Photos))
	for before := last.Previous; before != 0; {
		page, err := s.Album(ctx, album, 0, before)
		if err != nil {
			t.Fatal(err)
		}
		if page.Next == 0 {
			t.Errorf("before %d there is no next page", before)
		}
		got = append(slices.Clone(ids(page.Photos)), got...)
		before = page.Previous
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("backwards: %s", diff)
	}
	if int(last.Album.PhotoCount) != len(want) {
		t.Errorf("the album says it has %d photos, it has %d", last.Album.PhotoCount, len(want))
	}
}

func ids(cards []store.Card) []int64 {
	all := make([]int64, len(cards))
	for i, c := range cards {
		all[i] = c.ID
	}
	return all
}

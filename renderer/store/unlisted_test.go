package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"flickrkillr/renderer/store"
)

// unlist makes photos of user 1 unlisted, each with a link of its own.
func unlist(ids ...int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		links := make([]store.ShareSecret, len(ids))
		for i, id := range ids {
			links[i] = secret(fmt.Sprint(key, id))
		}
		return s.UnlistOwnPhotos(ctx, key, 1, ids, links)
	}
}

// see makes a photo of user 1 private or not, and unlisted or not.
func see(private, unlisted bool, id int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		edit := store.OwnEdit{Private: &private, Link: secret(fmt.Sprint(key, id))}
		if private {
			edit.Unlisted = &unlisted
		}
		return s.EditOwnPhoto(ctx, key, 1, id, edit)
	}
}

// unshow takes back that photos of ansel's were made public.
func unshow(ids ...int64) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.UnshowOwnPhotos(ctx, key, 1, ids)
	}
}

// TestUnlisted: a photo is unlisted by its owner alone, one by one or many at once, keeps its link until it is made
// private or the link is revoked, and is hidden from everybody else as a private one is.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	end := func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		l, err := s.OwnShares(ctx, 1, 1, 0, 0)
		if err != nil || len(l.Shares) != 1 || !l.Shares[0].Unlisted {
			return nil, fmt.Errorf("the links of photo 1: %+v, %w", l, err)
		}
		return s.EndShare(ctx, key, 1, l.Shares[0].ID)
	}
	operator := func(hide bool) action {
		return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
			return s.SetPhotoPrivate(ctx, key, 1, hide)
		}
	}
	title := "new"
	for _, c := range []struct {
		what string
		do   []action // under the keys a, b, c...
		want string   // the links of photos 1 to 5 that show something, by what made them, and which are unlisted
		told string   // by the last one
	}{
		{"one", []action{see(true, true, 1)}, "a1: 1", "user.ansel! photo.1!"},
		{"one that is private", []action{see(true, true, 3)}, "a3: 3", "user.ansel"},
		{"several", []action{unlist(1, 2, 3, 5, 99)}, "a1 a2 a3: 1 2 3", "user.ansel! photo.1! photo.2!"},
		{"twice", []action{unlist(1), unlist(1, 2)}, "a1 b2: 1 2", "user.ansel! photo.2!"},
		{"private again", []action{unlist(1, 2), see(true, false, 1)}, "a2: 2", "user.ansel"},
		{"several private again", []action{unlist(1, 2, 3), change(store.OwnPrivate, "", 1, 3, 5)}, "a2: 2",
			"user.ansel"},
		{"public again", []action{unlist(1, 2), see(false, false, 1)}, "a1 a2: 2", "user.ansel photo.1"},
		{"public again and private", []action{unlist(1), change(store.OwnPublic, "", 1),
			change(store.OwnPrivate, "", 1)}, ":", "user.ansel! photo.1!"},
		{"public again and unlisted", []action{unlist(1), change(store.OwnPublic, "", 1), unlist(1)}, "c1: 1",
			"user.ansel! photo.1!"},
		{"public taken back", []action{unlist(1), change(store.OwnPublic, "", 1, 3), unshow(1, 2, 3, 5)}, "a1: 1",
			"user.ansel! photo.1! photo.2! photo.3!"},
		{"public taken back after the link was revoked", []action{unlist(1), change(store.OwnPublic, "", 1), end,
			unshow(1)}, ":", "user.ansel! photo.1!"},
		{"shown and hidden by an operator", []action{unlist(1), operator(false), operator(true)}, ":",
			"user.ansel! photo.1!"},
		{"another field", []action{unlist(1), editOwn(1, store.OwnEdit{Title: &title})}, "a1: 1", "user.ansel"},
		{"revoked", []action{unlist(1), end}, ":", "user.ansel"},
		{"in the bin", []action{unlist(1), change(store.OwnBin, "", 1)}, ": 1", "user.ansel photo.1"},
		{"back from the bin", []action{unlist(1), change(store.OwnBin, "", 1), change(store.OwnRestore, "", 1)},
			"a1: 1", "user.ansel photo.1"},
		{"unlisted in the bin", []action{change(store.OwnBin, "", 2), unlist(1, 2)}, "b1: 1", "user.ansel! photo.1!"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, pool := shareAlbum(t)
			var changes []store.Change
			for i, do := range c.do {
				var err error
				if changes, err = do(t.Context(), s, string(rune('a'+i))); err != nil {
					t.Fatal(err)
				}
			}
			var told, links, listed []string
			for _, one := range changes {
				told = append(told, one.Scope+map[bool]string{true: "!"}[one.Gone])
			}
			unlisted, err := s.Unlisted(t.Context(), 1, []int64{1, 2, 3, 4, 5})
			if err != nil {
				t.Fatal(err)
			}
			for id := int64(1); id <= 5; id++ {
				for _, key := range []string{"a", "b", "c"} {
					name := fmt.Sprint(key, id)
					if p, err := s.SharedPhoto(t.Context(), shareHash(name), id); err == nil && p.ID == id {
						links = append(links, name)
					}
				}
				if _, ok := unlisted[id]; ok {
					listed = append(listed, fmt.Sprint(id))
				}
			}
			got := strings.TrimSpace(strings.Join(links, " ") + ": " + strings.Join(listed, " "))
			if got != c.want || strings.Join(told, " ") != c.told {
				t.Errorf("%q, told %q, want %q and %q", got, told, c.want, c.told)
			}
			for _, line := range strings.Fields(strings.Split(c.want, ":")[1]) { // everybody else sees none of them
				const public = "SELECT count(*)::integer FROM photos WHERE NOT private AND id = "
				if n := one[int](t, pool, public+line); n != 0 {
					t.Errorf("photo %s is public", line)
				}
			}
		})
	}
}

// TestUnlistedAgain: an action that is asked for again, when somebody has chosen otherwise since, opens nothing.
func TestUnlistedAgain(t *testing.T) {
	t.Parallel()
	s, _ := shareAlbum(t)
	for name, do := range map[string]action{"one": see(true, true, 1), "several": unlist(2, 3)} {
		first, err := do(t.Context(), s, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := change(store.OwnPrivate, "", 1, 2, 3)(t.Context(), s, "private"+name); err != nil {
			t.Fatal(err)
		}
		again, err := do(t.Context(), s, name)
		if err != nil || !slices.Equal(first, again) {
			t.Errorf("%s: %v, then %v: %v", name, first, again, err)
		}
		if unlisted, err := s.Unlisted(t.Context(), 1, []int64{1, 2, 3}); err != nil || len(unlisted) != 0 {
			t.Errorf("%s: photos %v are unlisted again: %v", name, unlisted, err)
		}
	}
}

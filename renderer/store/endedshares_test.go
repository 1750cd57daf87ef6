package store_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// TestRestoreShare: a link that was revoked lately comes back as it was, once, and only if what it leads to is there
// and no other link makes that unlisted. Meanwhile, and after a while, it shows nothing.
func TestRestoreShare(t *testing.T) {
	t.Parallel()
	s, pool := shareAlbum(t)
	ctx := t.Context()
	ids := map[string]int64{}
	for name, link := range map[string]store.NewShare{
		"photo":  {Photo: 4, Name: "mother", Password: "$argon2id$x", Days: 7},
		"album":  {Album: 1, Adds: true},
		"binned": {Photo: 2}, "old": {Photo: 4}, "expired": {Photo: 4, Days: 1}, "unlisted": {Photo: 3},
	} {
		if err := share(t, s, name, 1, link); err != nil {
			t.Fatal(err)
		}
		ids[name] = one[int64](t, pool, "SELECT id FROM shares WHERE hash = $1", shareHash(name))
	}
	exec(t, pool, "UPDATE shares SET unlisted = true WHERE photo_id = 3")
	const row = "SELECT to_jsonb(s)::text FROM shares s WHERE id = $1"
	was := map[string]string{}
	for name, id := range ids {
		was[name] = one[string](t, pool, row, id)
		if _, err := s.EndShare(ctx, "end-"+name, 1, id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Share(ctx, shareHash(name)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the revoked link %s: %v", name, err)
		}
	}
	exec(t, pool, "UPDATE ended_shares SET ended_at = now() - interval '61 min' WHERE link->>'photo_id' = '4' "+
		"AND link->>'name' = '' AND link->>'expires_at' IS NULL",
		"UPDATE ended_shares SET link = jsonb_set(link, '{expires_at}', to_jsonb(now())) WHERE id = "+
			strconv.FormatInt(ids["expired"], 10),
		"UPDATE photos SET private = true, private_before = private, binned_at = now() WHERE id = 2")
	if err := share(t, s, "another", 1, store.NewShare{Photo: 3}); err != nil {
		t.Fatal(err)
	}
	exec(t, pool, "UPDATE shares SET unlisted = true WHERE photo_id = 3")
	restore := func(key, name string, user int64, most int) error {
		_, err := s.RestoreShare(ctx, "back-"+key, user, ids[name], time.Hour, most)
		return err
	}
	kept := func(name string, user int64, want bool) {
		if is, err := s.EndedShare(ctx, user, ids[name], time.Hour); is != want || err != nil {
			t.Errorf("user %d has the revoked link %s: %v, %v", user, name, is, err)
		}
	}
	kept("photo", 1, true)
	kept("photo", 2, false)
	kept("old", 1, false)
	for _, c := range []struct {
		key, name string
		user      int64
		most      int
		want      error
	}{
		{"theft", "photo", 2, 10, store.ErrNotFound},
		{"binned", "binned", 1, 10, store.ErrNotFound},
		{"expired", "expired", 1, 10, store.ErrNotFound},
		{"old", "old", 1, 10, store.ErrNotFound},
		{"unlisted-by-another", "unlisted", 1, 10, store.ErrNotFound},
		{"photo", "photo", 1, 10, nil},
		{"photo", "photo", 1, 10, nil}, // the same form, sent again
		{"photo-again", "photo", 1, 10, store.ErrNotFound},
		{"too-many", "album", 1, 1, store.ErrTooMany},
		{"album", "album", 1, 10, nil},
	} {
		if err := restore(c.key, c.name, c.user, c.most); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.key, err, c.want)
		}
	}
	for _, name := range []string{"photo", "album"} {
		kept(name, 1, false)
		if is := one[string](t, pool, row, ids[name]); is != was[name] {
			t.Errorf("the link %s is back as\n%s\nand was\n%s", name, is, was[name])
		}
	}
	if err := s.ForgetShares(ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := one[int64](t, pool, "SELECT count(*) FROM ended_shares"); n != 3 {
		t.Errorf("%d revoked links are kept, want the three of the last hour that are not back", n)
	}
}

package store_test

import (
	"errors"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// TestRestoreShareOfHidden: a revoked link of what was unlisted does not come back once that is hidden, or an album is
// shown, by whatever program, also while it is being brought back. What is deleted takes its revoked links along.
func TestRestoreShareOfHidden(t *testing.T) {
	t.Parallel()
	const (
		album = "UPDATE albums SET private = "
		photo = "UPDATE photos SET private = "
		of1   = " WHERE id = 1"
	)
	for _, c := range []struct {
		what      string
		link      store.NewShare
		named     bool     // it makes nothing unlisted
		meanwhile []string // the last of them is committed when the link is being brought back
		want      error
	}{
		{"album", store.NewShare{Album: 1}, false, []string{album + "true" + of1, "SELECT 1"}, nil},
		{"album shown", store.NewShare{Album: 1}, false, []string{album + "false" + of1}, store.ErrNotFound},
		{"album shown and hidden", store.NewShare{Album: 1}, false,
			[]string{album + "false" + of1, album + "true" + of1}, store.ErrNotFound},
		{"named, album shown", store.NewShare{Album: 1}, true, []string{album + "false" + of1}, nil},
		{"photo shown", store.NewShare{Photo: 1}, false, []string{photo + "false" + of1}, nil},
		{"photo hidden", store.NewShare{Photo: 1}, false, []string{photo + "false" + of1, photo + "true" + of1},
			store.ErrNotFound},
		{"album deleted", store.NewShare{Album: 1}, true, []string{"DELETE FROM albums" + of1}, store.ErrNotFound},
		{"photo deleted", store.NewShare{Photo: 1}, true, []string{"DELETE FROM photos" + of1}, store.ErrNotFound},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, pool := shareAlbum(t)
			ctx := t.Context()
			exec(t, pool, album+"true"+of1, photo+"true"+of1)
			if err := share(t, s, "it", 1, c.link); err != nil {
				t.Fatal(err)
			}
			if !c.named {
				exec(t, pool, "UPDATE shares SET unlisted = true")
			}
			id := one[int64](t, pool, "SELECT id FROM shares")
			if _, err := s.EndShare(ctx, "end", 1, id); err != nil {
				t.Fatal(err)
			}
			last := len(c.meanwhile) - 1
			for _, sql := range c.meanwhile[:last] {
				exec(t, pool, sql)
			}
			tx, err := pool.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(ctx) }() // it is committed unless the test fails
			if _, err := tx.Exec(ctx, c.meanwhile[last]); err != nil {
				t.Fatal(err)
			}
			restored := make(chan error, 1)
			go func() {
				_, err := s.RestoreShare(ctx, "back", 1, id, time.Hour, 10)
				restored <- err
			}()
			for len(restored) == 0 && !one[bool](t, pool, `SELECT EXISTS (SELECT FROM pg_stat_activity
					WHERE datname = current_database() AND query LIKE '%restore_share%' AND wait_event_type = 'Lock')`) {
			}
			if err := tx.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			if err := <-restored; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.want != nil && one[int](t, pool, `SELECT (SELECT count(*) FROM shares)::integer
					+ (SELECT count(*) FROM ended_shares)::integer`) != 0 {
				t.Error("the link is kept")
			}
		})
	}
}

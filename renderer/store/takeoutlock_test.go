package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// TestTakeoutKeepsNobodyWaiting: while a zip file is prepared, its owner asks for others, of which it is one too many,
// somebody deletes the owner's photo for good, and the account. None of that waits, and what was prepared is not kept.
func TestTakeoutKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]string{
		"another zip file": "SELECT begin_takeout('other', sha256('x'), 1, '" + strings.Repeat("b", 26) + "', NULL, 1)",
		"a photo goes":     "DELETE FROM photos WHERE id = (SELECT min(id) FROM photos WHERE user_id = 1)",
		"the account goes": "DELETE FROM accounts WHERE user_id = 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, pool := ownAlbum(t)
			id := strings.Repeat("a", 26)
			exec(t, pool, "INSERT INTO accounts (user_id, password) VALUES (1, "+
				"'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA')",
				"INSERT INTO takeouts (user_id, id, title) VALUES (1, '"+id+"', '')")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := s.WriteTakeout(ctx, &store.Takeout{ID: id, User: 1}, func(w *store.TakeoutWriter) error {
				if err := w.Write(store.TakeoutPlan, 0, []byte("x")); err != nil {
					return err
				}
				_, err := pool.Exec(ctx, "SET lock_timeout = '20s'; "+meanwhile)
				return err
			})
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("it is prepared: %v", err)
			}
			if n := one[int](t, pool, "SELECT count(*)::integer FROM takeout_parts"); n != 0 {
				t.Errorf("%d parts are left", n)
			}
		})
	}
}

// TestTakeoutWaitsForNone: a zip file is asked for while somebody has the oldest one, and an upload refers to the
// account.
func TestTakeoutWaitsForNone(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	exec(t, pool, "INSERT INTO accounts (user_id, password) VALUES (1, "+
		"'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA')",
		"INSERT INTO takeouts (user_id, id, title) VALUES (1, '"+strings.Repeat("a", 26)+"', '')")
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for _, sql := range []string{"SELECT FROM takeouts FOR KEY SHARE", "SELECT FROM accounts FOR KEY SHARE"} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.BeginTakeout(t.Context(), "second", 1, strings.Repeat("b", 26), 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginTakeout(t.Context(), "third", 1, strings.Repeat("c", 26), 0, 1); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM takeouts"); n != 1 {
		t.Errorf("%d zip files are there, want 1", n)
	}
}

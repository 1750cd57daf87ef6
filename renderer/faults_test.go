package renderer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestOneBadRowHurtsNobodyElse: a row that cannot be read fails the query of the whole batch, and yet only its own
// page.
func TestOneBadRowHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	const spoil = `UPDATE users SET created_at = 'infinity' WHERE name = 'newcomer'`
	if _, err := st.pool.Exec(t.Context(), spoil); err != nil {
		t.Fatal(err)
	}
	s := st.start(t, small)
	release := st.stall(t)
	defer release()
	first := st.ask(t, "page.user.ansel", nil)
	load(t, s, page.KindUser, 1, 0)
	bad := st.ask(t, "page.user.newcomer", nil)
	good := st.ask(t, "page.user.dorothea", nil)
	load(t, s, page.KindUser, 1, 2)
	release()
	receive(t, first)
	if err := wire.ErrorOf(receive(t, bad)); wire.Code(err) != "internal" {
		t.Errorf("the bad one: %v", err)
	}
	if err := wire.ErrorOf(receive(t, good)); err != nil {
		t.Errorf("the one that was read with it: %v", err)
	}
}

// ownPostgres is a site on a PostgreSQL of its own, for tests that ill-treat it.
func ownPostgres(t *testing.T) (*site, *stack.Postgres) {
	t.Helper()
	server := testenv.Postgres(t)
	// A throwaway cluster does not wait for its log, and would lose what was confirmed just before it is killed.
	pool, err := store.OpenPool(t.Context(), server.URL()+"&synchronous_commit=on", 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return newSiteOn(t, testenv.NATS(t), pool), server
}

func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	st, server := ownPostgres(t)
	s := st.start(t, nil)
	restarted := make(chan error, 1)
	stopped := time.Now()
	go func() { restarted <- server.Restart(t.Context()) }()
	asked, slowest := 0, time.Duration(0)
	for done := false; !done || asked < 200; asked++ {
		begun := time.Now()
		err := wire.ErrorOf(st.request(t, "page.user.ansel"))
		if err != nil && time.Since(stopped) < restartLimit { // a machine that needs longer than this has an outage
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(begun))
		select {
		case err := <-restarted:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
	}
	t.Logf("%d requests over a restart, the slowest took %s", asked, slowest)
	eventually(t, 5*time.Second, s.Ready)
}

func TestPostgresIsGone(t *testing.T) {
	t.Parallel()
	st, server := ownPostgres(t)
	s := st.start(t, nil)
	st.get(t, page.User("ansel"))
	server.Kill()
	eventually(t, 10*time.Second, func() error { // once it has been away for long, that is said quickly
		begun := time.Now()
		if err := wire.ErrorOf(st.request(t, "page.user.ansel")); wire.Code(err) != "unavailable" {
			t.Fatalf("without Postgres: %v", err)
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			return fmt.Errorf("said after %s", took)
		}
		return nil
	})
	if reply := st.get(t, page.Error(503)); reply.Status != 503 {
		t.Errorf("the error page: status %d", reply.Status)
	}
	eventually(t, 5*time.Second, func() error {
		if s.Ready() == nil {
			return errors.New("still ready")
		}
		return nil
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, func() error { return wire.ErrorOf(st.request(t, "page.user.ansel")) })
	eventually(t, 5*time.Second, s.Ready)
}

func TestPostgresIsFrozen(t *testing.T) {
	t.Parallel()
	st, server := ownPostgres(t)
	st.start(t, nil)
	st.get(t, page.User("ansel"))
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	err := wire.ErrorOf(st.request(t, "page.user.ansel"))
	if took := time.Since(begun); wire.Code(err) != "unavailable" || took > 2*time.Second {
		t.Errorf("after %s: %v; want unavailable within 2 s", took, err)
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, func() error { return wire.ErrorOf(st.request(t, "page.user.ansel")) })
}

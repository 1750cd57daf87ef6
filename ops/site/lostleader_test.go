package site

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

// An edge trusts its copies for trusting after the last heartbeat, and one that is young for young anyway.
const (
	trusting = 3200 * time.Millisecond
	young    = 1200 * time.Millisecond
)

// TestBusLosesTheLeader: the server of NATS that leads the stream is killed. While the others elect a leader, an edge
// trusts its copies for longer than it does without heartbeats, and shows what changes.
func TestBusLosesTheLeader(t *testing.T) {
	t.Parallel()
	bus, err := stack.StartBusServers(soon(t), 3, testenv.Program(t), t.TempDir(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Stop(); err != nil {
			t.Error(err)
		}
	})
	database := testenv.DatabaseURL(t)
	pool := testenv.Pool(t, database)
	const other = `INSERT INTO users (id, name, display_name, bio) OVERRIDING SYSTEM VALUE
		VALUES (2, 'edward', 'Edward', '')`
	for _, sql := range []string{photo, other} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	env := stack.Env{NATS: bus.URL(0), Seeds: bus.Seeds(), Postgres: database}
	s := New(Config{
		Services: env, Pictures: filepath.Join(t.TempDir(), "pictures"), Addr: "127.0.0.1:0",
		Renderer: renderer.Config{Replicas: 3},
	})
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range []Role{Renderer, Edge} {
		if err := s.Add(role, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WaitReady(soon(t)); err != nil {
		t.Fatal(err)
	}
	client, err := stack.JoinBus(env.Login(wire.RoleEdge), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	js, err := jetstream.New(client.Conn)
	if err != nil {
		t.Fatal(err)
	}
	for round := 0; ; round++ { // a leader may be elected too soon to tell
		until(t, time.Minute, func() error { return replicated(t.Context(), js, wire.StreamChanges) })
		trusted, elected := withoutLeader(t, bus, s.URLs()[0], func(title string) error {
			_, err := pool.Exec(t.Context(), "UPDATE photos SET title = $1 WHERE id = 1", title)
			return err
		})
		if trusted {
			return
		}
		if round == 5 {
			t.Fatalf("a leader was elected after %s, and no old copy was shown meanwhile", elected)
		}
	}
}

// withoutLeader kills the leader, and changes and shows pages until there is another one, after the time elected.
// trusted: once no heartbeat of before counted any more, the edge showed a copy that was no longer young.
func withoutLeader(t *testing.T, bus *stack.BusServers, edge string, retitle func(string) error) (
	trusted bool, elected time.Duration,
) {
	t.Helper()
	leader, err := bus.Leader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	done := make(chan error, 1)
	killing, cancel := context.WithTimeout(t.Context(), time.Minute)
	electing, giveUp := context.WithTimeout(killing, 30*time.Second) // the same one may lead again, once it is back
	var ended sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		giveUp()
		ended.Wait() // before the bus is stopped
	})
	ended.Go(func() {
		err := bus.Kill(killing, leader, 0)
		for now := leader; err == nil && now == leader && electing.Err() == nil; {
			if now, err = bus.Leader(electing); electing.Err() != nil {
				err = nil
			}
		}
		done <- err
	})
	var copied time.Time // since when the page that does not change is shown from a copy
	for n := 0; ; n++ {
		title := fmt.Sprintf("Title %d of %d", n, began.UnixNano())
		if err := retitle(title); err != nil {
			t.Fatal(err)
		}
		until(t, time.Minute, func() error {
			status, tier, body := answer(t, edge+"/photo/1")
			if status != http.StatusOK || tier == "stale" || !strings.Contains(body, title) {
				return fmt.Errorf("status %d from %s, not as %q", status, tier, title)
			}
			return nil
		})
		status, tier, _ := answer(t, edge+"/photos/edward")
		switch {
		case status != http.StatusOK:
			t.Errorf("a page that does not change: status %d from %s", status, tier)
		case tier != "near" || time.Since(began) < trusting:
			copied = time.Time{}
		case copied.IsZero():
			copied = time.Now()
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return trusted, time.Since(began)
		default:
			trusted = trusted || !copied.IsZero() && time.Since(copied) > young
		}
	}
}

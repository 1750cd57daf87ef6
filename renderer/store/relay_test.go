package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

func TestRelayCoalescesAndKeepsWhatWasNotAcknowledged(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, "DELETE FROM outbox", photoSQL("1", "a"), "UPDATE photos SET private = true",
		"UPDATE users SET bio = 'x'")
	ctx := t.Context()
	want := []store.Change{
		{Scope: "photo.1", Version: one[int64](t, pool, "SELECT version FROM tombstones"), Gone: true},
		// once gone, gone
		{Scope: "user.ansel", Version: one[int64](t, pool, "SELECT version FROM users WHERE id = 1"), Gone: true},
		{Scope: "user.vivian", Version: one[int64](t, pool, "SELECT version FROM users WHERE id = 2")},
	}
	oldest := one[time.Time](t, pool, "UPDATE outbox SET at = at - interval '1 minute' WHERE id = (SELECT max(id) "+
		"FROM outbox) RETURNING at")
	down := errors.New("the bus is down")
	for i, answer := range []error{down, down, nil} {
		var got store.Batch
		n, leader, err := s.RelayOnce(ctx, fmt.Sprint("a.", i), false, func(b store.Batch) (bool, error) {
			got = b
			return true, answer
		})
		if !got.Since.Equal(oldest) {
			t.Errorf("the first was written at %s, not at %s", oldest, got.Since)
		}
		if diff := cmp.Diff(want, got.Changes); diff != "" || !leader || !errors.Is(err, answer) {
			t.Errorf("leader %t, error %v: %s", leader, err, diff)
		}
		if answer == nil && n != 6 {
			t.Errorf("%d rows were taken, want 6", n)
		}
	}
	n, leader, err := s.RelayOnce(ctx, "a.3", false, func(b store.Batch) (bool, error) {
		t.Errorf("published twice: %v", b)
		return true, nil
	})
	if n != 0 || !leader || err != nil {
		t.Errorf("nothing left: %d %t %v", n, leader, err)
	}
}

func TestRelayHasOneLeader(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	_, leader, err := s.RelayOnce(ctx, "a.1", false, func(store.Batch) (bool, error) {
		_, leader, err := s.RelayOnce(ctx, "b.1", false, func(store.Batch) (bool, error) { return true, nil })
		if leader || err != nil {
			t.Errorf("a second leader: %t %v", leader, err)
		}
		return true, nil
	})
	if !leader || err != nil {
		t.Errorf("no leader: %t %v", leader, err)
	}
}

// A relay whose connection is ended while it publishes has published for nothing: the changes are still there for the
// next one.
func TestRelaySurvivesItsTransaction(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	people(t, pool)
	admin := testenv.Pool(t, testenv.AdminURL(t, url))
	ctx := t.Context()
	var first, second []store.Change
	_, _, err := s.RelayOnce(ctx, "a.1", false, func(b store.Batch) (bool, error) {
		first = b.Changes
		exec(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "+
			"current_database() AND pid <> pg_backend_pid()")
		return true, nil
	})
	if err == nil {
		t.Error("the relay believes that it committed")
	}
	if _, leader, err := s.RelayOnce(ctx, "b.1", false, func(b store.Batch) (bool, error) {
		second = b.Changes
		return true, nil
	}); err != nil || !leader {
		t.Errorf("the next one: leader %t, %v", leader, err)
	}
	if diff := cmp.Diff(first, second); diff != "" || len(first) == 0 {
		t.Errorf("published first %v, then %v", first, second)
	}
}

// Writers write, relays of several processes relay, some publishes fail: every user's last version is told, and none is
// told that does not exist. Ids of the outbox are committed out of order here.
func TestRelaysTellEveryLastVersion(t *testing.T) {
	t.Parallel()
	const writers, writes, relays = 6, 100, 3
	url := testenv.DatabaseURL(t)
	_, pool := openURL(t, url)
	exec(t, pool, fmt.Sprintf(
		"INSERT INTO users (id, name, display_name) SELECT g, 'w' || g, 'W' FROM generate_series(1, %d) g", writers))
	var mu sync.Mutex
	told := map[string]int64{}

	writing, ctx := errgroup.WithContext(t.Context())
	for w := range writers {
		writing.Go(func() error {
			for i := range writes {
				if _, err := pool.Exec(ctx, "UPDATE users SET bio = $1 WHERE id = $2", fmt.Sprint(w, i),
					(w+i)%writers+1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	relaying, stop := context.WithCancel(t.Context())
	defer stop()
	var all errgroup.Group
	last := one[string](t, pool, "SELECT message FROM relay_last")
	for relay := range relays {
		s, _ := openURL(t, url)
		all.Go(func() error {
			for round := 0; ; round++ {
				name := fmt.Sprint(relay, ".", round)
				n, leader, err := s.RelayOnce(t.Context(), name, true, func(b store.Batch) (bool, error) {
					if round%5 == 4 {
						return false, errDown
					}
					mu.Lock()
					defer mu.Unlock()
					if b.After != last {
						t.Errorf("batch %s follows %s, want %s", name, b.After, last)
					}
					last = name
					for _, c := range b.Changes {
						told[c.Scope] = max(told[c.Scope], c.Version)
					}
					return round%5 != 3, nil
				})
				if err != nil && !errors.Is(err, errDown) {
					return err
				}
				if relaying.Err() != nil && leader && n == 0 && err == nil {
					return nil
				}
			}
		})
	}
	if err := writing.Wait(); err != nil {
		t.Fatal(err)
	}
	for one[int](t, pool, "SELECT count(*)::integer FROM outbox")+
		one[int](t, pool, "SELECT count(*)::integer FROM unstored") > 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"all": told["all"]}
	for w := range writers {
		want[fmt.Sprint("user.w", w+1)] = one[int64](t, pool, "SELECT version FROM users WHERE id = $1", w+1)
	}
	if told["all"] == 0 {
		delete(want, "all")
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("stored and told: %s", diff)
	}
}

var errDown = errors.New("the bus is down")

func TestOutboxState(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	exec(t, pool, "DELETE FROM outbox")
	ctx := t.Context()
	beat, err := s.OutboxState(ctx)
	if err != nil || beat.Waiting != 0 || beat.Lag != 0 || beat.Now.IsZero() {
		t.Errorf("empty: %+v %v", beat, err)
	}
	people(t, pool)
	exec(t, pool, "UPDATE outbox SET at = at - interval '1 minute'")
	beat, err = s.OutboxState(ctx)
	if err != nil || beat.Waiting != 2 || beat.Lag.Seconds() < 60 || beat.Lag.Seconds() > 90 {
		t.Errorf("two wait for a minute: %+v %v", beat, err)
	}
	if now, err := s.Now(ctx); err != nil || now.Before(beat.Now) {
		t.Errorf("the clock: %v after %v, %v", now, beat.Now, err)
	}
}

package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// What was published and not stored counts as waiting no more. It is in what a heartbeat repeats, and is published
// again, once with the newest version of each scope, when the stream takes messages.
func TestChangesThatAreNotStored(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	start := one[string](t, pool, "SELECT message FROM relay_last")
	relay := func(name string, resend, stored bool) (got store.Batch) {
		t.Helper()
		if _, _, err := s.RelayOnce(ctx, name, resend, func(b store.Batch) (bool, error) {
			got = b
			return stored, nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	state := func() store.OutboxState {
		t.Helper()
		got, err := s.OutboxState(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	waiting := func(resend bool) bool {
		t.Helper()
		got, err := s.Waiting(ctx, resend)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := state(); got.Last != start || got.Unstored || len(got.Recent.Changes) > 0 {
		t.Errorf("before the first batch: %+v", got)
	}
	first := relay("a.1", false, false)
	exec(t, pool, "UPDATE users SET bio = 'x' WHERE id = 1")
	second := relay("a.2", false, false)
	if first.After != start || second.After != "a.1" || len(first.Changes) != 2 || len(second.Changes) != 1 {
		t.Errorf("the batches are %+v and %+v", first, second)
	}
	got := state()
	newest := []store.Change{second.Changes[0], first.Changes[1]}
	if diff := cmp.Diff(newest, got.Recent.Changes); diff != "" || got.Recent.Message != "a.2" ||
		got.Recent.After != start {
		t.Errorf("repeated is %+v: %s", got.Recent, diff)
	}
	if got.Last != "a.2" || !got.Unstored || got.Waiting != 0 || got.Lag != 0 {
		t.Errorf("after two batches that were not stored: %+v", got)
	}
	if waiting(false) || !waiting(true) {
		t.Error("what is not stored waits while the stream takes nothing, or does not when it does")
	}
	if none := relay("a.3", false, true); none.Message != "" {
		t.Errorf("published without being asked: %+v", none)
	}
	again := relay("b.1", true, true)
	if diff := cmp.Diff(newest, again.Changes); diff != "" || again.After != "a.2" || !again.Since.IsZero() ||
		!again.Again || first.Again {
		t.Errorf("published again is %+v: %s", again, diff)
	}
	if got := state(); got.Last != "b.1" || got.Unstored || waiting(true) {
		t.Errorf("after all is stored: %+v", got)
	}
	exec(t, pool, "UPDATE relayed SET at = at - interval '1 minute'")
	if err := s.ForgetRelayed(ctx); err != nil {
		t.Fatal(err)
	}
	if left := one[int](t, pool, "SELECT count(*)::integer FROM relayed"); left != 0 {
		t.Errorf("%d old batches are kept", left)
	}
}

// A relay that began to wait for the lock's holder before that committed follows its batch nevertheless.
func TestBatchFollowsTheLastCommit(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // a second time it does nothing
	if _, err := tx.Exec(ctx, "UPDATE relay_last SET message = 'elsewhere.9'"); err != nil {
		t.Fatal(err)
	}
	var after string
	var relaying errgroup.Group
	relaying.Go(func() error {
		_, _, err := s.RelayOnce(ctx, "a.1", false, func(b store.Batch) (bool, error) {
			after = b.After
			return true, nil
		})
		return err
	})
	testenv.Eventually(t, "the relay waits for the row", func() bool {
		return one[int](t, pool, `SELECT count(*)::integer FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	})
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := relaying.Wait(); err != nil || after != "elsewhere.9" {
		t.Errorf("the batch follows %q, %v", after, err)
	}
}

package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// raised counts the versions that were given out since it was called.
func raised(t testing.TB, q queryer) (since func() int64) {
	t.Helper()
	const last = "SELECT last_value FROM versions"
	before := one[int64](t, q, last)
	return func() int64 { t.Helper(); return one[int64](t, q, last) - before }
}

func TestOnceForEachKey(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	album(t, pool)
	for _, c := range []struct {
		key       string
		do, other action
		raises    int64
	}{
		{"a", edit(1, "New", "-"), edit(1, "Newer", "-"), 1},
		{"b", edit(1, "-", ""), edit(1, "", "-"), 0},
		{"c", privacy(3, false), privacy(3, true), 1},
		{"d", remove(1), remove(2), 2}, // it is in an album
		{"e", privacy(2, true), remove(2), 1},
	} {
		versions := raised(t, pool)
		first, err := c.do(t.Context(), s, c.key)
		if err != nil {
			t.Fatal(err)
		}
		exec(t, pool, "UPDATE users SET bio = bio || 'x' WHERE id = 1") // the version goes on, the answer does not
		if second, err := c.do(t.Context(), s, c.key); err != nil || gocmp.Diff(first, second) != "" {
			t.Errorf("key %s: first %v, then %v, %v", c.key, first, second, err)
		}
		if changes, err := c.other(t.Context(), s, c.key); !errors.Is(err, store.ErrConflict) {
			t.Errorf("key %s with something else: %v, %v", c.key, changes, err)
		}
		if n := versions(); n != c.raises+1 {
			t.Errorf("key %s: %d versions were raised, want %d", c.key, n-1, c.raises)
		}
	}
}

func TestOneKeyAtTheSameTime(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	album(t, pool)
	versions := raised(t, pool)
	answers := make([][]store.Change, 16)
	var group errgroup.Group
	for i := range answers {
		group.Go(func() (err error) {
			answers[i], err = remove(1)(t.Context(), s, "key")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, answer := range answers {
		if diff := gocmp.Diff(answers[0], answer); diff != "" {
			t.Errorf("two answers: %s", diff)
		}
	}
	if n := versions(); n != 2 {
		t.Errorf("%d versions were raised, want 2", n)
	}
}

// waiting waits until a connection of the store waits for a lock, and returns its backend.
func waiting(t testing.TB, q queryer) (pid int32) {
	t.Helper()
	eventually(t, "a connection of the store waits for a lock", func() bool {
		pid = one[int32](t, q, `SELECT coalesce((SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'killr' AND wait_event_type = 'Lock'), 0)`)
		return pid != 0
	})
	return pid
}

// held begins a transaction of the superuser's that has locked ansel's row.
func held(t testing.TB, url string) pgx.Tx {
	t.Helper()
	tx, err := testenv.Pool(t, testenv.AdminURL(t, url)).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // after a commit: nothing
	if _, err := tx.Exec(t.Context(), "SET LOCAL deadlock_timeout = '1h'; SELECT FROM users WHERE id = 1 FOR UPDATE",
		pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	return tx
}

// begin does an action in a goroutine; done gives its answer.
func begin(ctx context.Context, s *store.Store, do action) (done func(testing.TB) []store.Change) {
	var changes []store.Change
	failed := make(chan error, 1)
	go func() {
		var err error
		changes, err = do(ctx, s, "key")
		failed <- err
	}()
	return func(t testing.TB) []store.Change {
		t.Helper()
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		return changes
	}
}

// blockedEdit begins an edit of photo 1's title that waits for ansel's row, which other has locked. backend is the one
// that waits; done gives the answer.
func blockedEdit(t testing.TB, s *store.Store, pool *pgxpool.Pool, url string) (
	other pgx.Tx, backend int32, done func(testing.TB) []store.Change,
) {
	t.Helper()
	album(t, pool)
	other = held(t, url)
	done = begin(t.Context(), s, edit(1, "New", "-"))
	return other, waiting(t, pool), done
}

// checkDone holds what an action of photo 1 that met with trouble answered against what there is.
func checkDone(t testing.TB, pool queryer, got []store.Change, title string) {
	t.Helper()
	if is := one[string](t, pool, "SELECT title FROM photos WHERE id = 1"); is != title {
		t.Errorf("the title is %q, want %q", is, title)
	}
	want := []store.Change{{Scope: "user.ansel", Version: one[int64](t, pool,
		"SELECT version FROM users WHERE id = 1")}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Of what was rolled back no trace is left but numbers that nobody has.
	if n := one[int](t, pool, "SELECT count(*)::integer FROM outbox WHERE scope = 'user.ansel'"); n != 1 {
		t.Errorf("%d changes were announced, want 1", n)
	}
}

func TestActionOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	// The edit has the photo and wants the owner; the other has the owner and wants the photo.
	other, _, done := blockedEdit(t, s, pool, url)
	if _, err := other.Exec(t.Context(), "UPDATE photos SET description = 'theirs' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), "DELETE FROM outbox"); err != nil {
		t.Fatal(err)
	}
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkDone(t, pool, done(t), "New")
	if is := one[string](t, pool, "SELECT description FROM photos WHERE id = 1"); is != "theirs" {
		t.Errorf("the description is %q", is)
	}
}

func TestActionOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	other, ended, done := blockedEdit(t, s, pool, url)
	if _, err := other.Exec(t.Context(), "SELECT pg_terminate_backend($1)", ended); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next attempt waits", func() bool { return waiting(t, pool) != ended })
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkDone(t, pool, done(t), "New")
}

// A lock that is held for longer than a statement may take.
func TestActionOutlivesAStatementTimeout(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := store.New(openPool(t, url+"&statement_timeout=200ms")), testenv.Pool(t, url)
	other, _, done := blockedEdit(t, s, pool, url)
	first := one[time.Time](t, pool, "SELECT clock_timestamp()")
	eventually(t, "an attempt waits that began after the first one's time was over", func() bool {
		return one[bool](t, pool, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'killr' AND wait_event_type = 'Lock'
				AND xact_start > $1::timestamptz + interval '200 ms')`, first)
	})
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkDone(t, pool, done(t), "New")
}

func TestActionGivesUpAtItsDeadline(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	album(t, pool)
	held(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if changes, err := edit(1, "New", "-")(ctx, s, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", changes, err)
	}
}

// through gives a store that reaches the database of url through a proxy.
func through(t testing.TB, url string) (*store.Store, *proxy) {
	t.Helper()
	to := testenv.Pool(t, url).Config().ConnConfig
	between := newProxy(t, to.Host, to.Port)
	return store.New(openPool(t, strings.Replace(url, between.target, between.addr, 1))), between
}

// An action is lost on its way, or its answer is, after its commit, which looks the same from here.
func TestActionOutlivesALostConnection(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]loss{"request": loseRequest, "answer": loseAnswer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := testenv.DatabaseURL(t)
			pool := testenv.Pool(t, url)
			album(t, pool)
			s, between := through(t, url)
			between.lose(how)
			got, err := edit(1, "New", "-")(t.Context(), s, lostKey)
			if err != nil {
				t.Fatal(err)
			}
			checkDone(t, pool, got, "New")
			if lost, actions := between.lost.Load(), between.actions.Load(); lost != 1 || actions != 2 {
				t.Errorf("%d of %d requests were lost, want 1 of 2", lost, actions)
			}
		})
	}
}

// A process that is frozen in the middle of an action keeps nobody waiting, and when it thaws it is told what it did
// then.
func TestFrozenActionHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	album(t, pool)
	frozen, between := through(t, url)
	between.lose(holdAnswer)
	done := begin(t.Context(), frozen, func(ctx context.Context, s *store.Store, _ string) ([]store.Change, error) {
		return edit(1, "New", "-")(ctx, s, lostKey)
	})
	eventually(t, "the photo has its new title", func() bool {
		return one[string](t, pool, "SELECT title FROM photos WHERE id = 1") == "New"
	})
	version := one[int64](t, pool, "SELECT version FROM users WHERE id = 1")
	if _, err := edit(1, "Newer", "-")(t.Context(), s, "other"); err != nil {
		t.Error(err)
	}
	again, err := edit(1, "New", "-")(t.Context(), s, lostKey) // another process, for a client that got no answer
	if want := []store.Change{{Scope: "user.ansel", Version: version}}; err != nil || gocmp.Diff(want, again) != "" {
		t.Errorf("asked for again: %v, %v; want %v", again, err, want)
	}
	close(between.thawed)
	if diff := gocmp.Diff(again, done(t)); diff != "" {
		t.Error(diff)
	}
	if title := one[string](t, pool, "SELECT title FROM photos WHERE id = 1"); title != "Newer" {
		t.Errorf("the title is %q: what was changed since is lost", title)
	}
}

// In a rolling deploy a renderer of the release before claims a key by writing its row first. A renderer of
// this release that gets the same key meanwhile must not repeat the action, even if that row is written while it works.
func TestKeyIsSharedWithTheReleaseBefore(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	album(t, pool)
	want, err := edit(1, "New", "-")(t.Context(), s, "key")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, pool, "UPDATE photos SET title = 'since' WHERE id = 1", "DELETE FROM outbox",
		"CREATE TABLE kept AS SELECT * FROM action_keys", "DELETE FROM action_keys")
	before, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = before.Rollback(context.WithoutCancel(t.Context())) }() // after a commit: nothing
	if _, err := before.Exec(
		t.Context(), "INSERT INTO action_keys (key, request) SELECT key, request FROM kept",
	); err != nil {
		t.Fatal(err)
	}
	done := begin(t.Context(), s, edit(1, "New", "-")) // sees no row, makes the change, and waits to write the row
	waiting(t, pool)
	if _, err := before.Exec(
		t.Context(), "UPDATE action_keys a SET scopes = k.scopes, versions = k.versions, gone = k.gone FROM kept k",
	); err != nil {
		t.Fatal(err)
	}
	if err := before.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, done(t)); diff != "" {
		t.Error(diff)
	}
	if title := one[string](t, pool, "SELECT title FROM photos WHERE id = 1"); title != "since" {
		t.Errorf("the title is %q: it was done twice", title)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM outbox"); n != 0 {
		t.Errorf("%d changes were announced, want none", n)
	}
	var refused *pgconn.PgError
	if _, err := pool.Exec(
		t.Context(), "INSERT INTO action_keys (key, request) SELECT 'none', request FROM kept",
	); !errors.As(err, &refused) || refused.Code != "23514" {
		t.Errorf("a key without a result: %v", err)
	}
}

func TestOldKeysAreForgotten(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	album(t, pool)
	exec(t, pool, `INSERT INTO action_keys (key, request, at, scopes, versions, gone)
		SELECT 'old' || n, decode(repeat('00', 32), 'hex'), now() - interval '1 hour' - n * interval '1 s', '{photo.1}',
			'{1}', '{f}' FROM generate_series(1, 1001) AS n`)
	if _, err := edit(1, "New", "-")(t.Context(), s, "young"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		n    int
		left string
	}{{1000, "old1 young"}, {1, "young"}, {0, "young"}} {
		n, err := s.ForgetKeys(t.Context(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if left := one[string](t, pool, "SELECT string_agg(key, ' ' ORDER BY key) FROM action_keys"); n != want.n ||
			left != want.left {
			t.Errorf("%d forgotten, %.80s left; want %d and %s", n, left, want.n, want.left)
		}
	}
	if changes, err := edit(1, "Other", "-")(t.Context(), s, "old1"); err != nil {
		t.Errorf("a key that was forgotten: %v, %v", changes, err)
	}
}

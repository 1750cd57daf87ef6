package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// everyHost is an address that names all servers.
func everyHost(t *testing.T, servers ...*stack.Postgres) string {
	t.Helper()
	u, err := url.Parse(servers[0].URL() + "&synchronous_commit=on")
	if err != nil {
		t.Fatal(err)
	}
	hosts := make([]string, len(servers))
	for i, s := range servers {
		hosts[i] = s.Addr()
	}
	u.Host = strings.Join(hosts, ",")
	return u.String()
}

// One standby serves all of these, which is promoted in the end.
func TestReplica(t *testing.T) {
	t.Parallel()
	primary := testenv.Primary(t)
	standby := testenv.Replica(t, primary)
	people(t, testenv.Pool(t, primary.URL()))
	t.Run("it is no primary", func(t *testing.T) { standbyIsNoPrimary(t, standby) })
	t.Run("it knows how far it has come", func(t *testing.T) { readAtOfReplica(t, primary, standby) })
	t.Run("it is dumped", func(t *testing.T) { dump(t, standby.URL()) }) // as a backup that costs the primary nothing
	t.Run("it is waited for", func(t *testing.T) { waitsForStandby(t, primary, standby) })
	t.Run("it takes over", func(t *testing.T) { failOver(t, primary, standby) })
}

// After an asynchronous failover the new primary lacks changes whose versions were given out. None of them is given out
// again, not even to an action that waits for the new primary: it comes after announce_all. Pages can be read before
// the new primary has a standby, although commits wait for one.
func failOver(t *testing.T, primary, standby *stack.Postgres) {
	hosts := everyHost(t, standby, primary)
	s := store.New(openPool(t, hosts)) // it passes over the standby
	pool := testenv.Pool(t, hosts+"&target_session_attrs=read-write")
	given := map[int64]bool{}
	edit := func(n int) int64 {
		t.Helper()
		changes := []store.Change{{}}
		testenv.Eventually(t, fmt.Sprint("edit ", n), func() (done bool) {
			var err error
			title := fmt.Sprint("Title ", n)
			changes, err = s.EditPhoto(t.Context(), fmt.Sprint("edit-", n), 1, store.Edit{Title: &title})
			if err != nil && !store.IsUnavailable(err) {
				t.Fatal(err)
			}
			return err == nil
		})
		for _, c := range changes {
			if given[c.Version] {
				t.Errorf("edit %d: version %d of %s was given out before", n, c.Version, c.Scope)
			}
			given[c.Version] = true
		}
		return changes[0].Version
	}
	edit(1)
	caughtUp(t, primary, standby)
	before := one[int64](t, testenv.Pool(t, primary.URL()), "SELECT version FROM epoch")
	if timeline := one[string](t, pool, "SELECT timeline FROM heartbeat"); timeline != "00000001" {
		t.Errorf("timeline %s", timeline)
	}
	// A standby that is promoted replays all that it has received.
	admin := testenv.Pool(t, standby.AdminURL("postgres"))
	exec(t, admin, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
	testenv.Eventually(t, "the standby receives nothing more", func() bool {
		return one[int64](t, admin, "SELECT count(*) FROM pg_stat_wal_receiver") == 0
	})
	exec(t, pool, "SELECT count(nextval('versions')) FROM generate_series(1, 100000)") // they run ahead of the clock
	var last int64
	for n := 2; n < 40; n++ {
		last = edit(n)
	}
	if err := standby.WaitForStandbys(t.Context(), 1); err != nil { // it has none
		t.Fatal(err)
	}
	primary.Kill()
	promoted := make(chan error, 1)
	go func() {
		err := standby.Promote(t.Context())
		if err == nil {
			err = readable(t.Context(), s)
		}
		promoted <- errors.Join(err, standby.WaitForStandbys(t.Context(), 0))
	}()
	if version := edit(100); version <= last { // it waits for the new primary
		t.Errorf("version %d comes after %d", version, last)
	}
	if err := <-promoted; err != nil {
		t.Fatal(err)
	}
	pool = testenv.Pool(t, standby.URL()) // without the connections of before
	after := one[int64](t, pool, "SELECT version FROM epoch")
	if after <= before || after <= last {
		t.Errorf("the version of all is %d; before the failover %d, the last one given out %d", after, before, last)
	}
	if timeline := one[string](t, pool, "SELECT timeline FROM heartbeat"); timeline != "00000002" {
		t.Errorf("timeline %s after the failover", timeline)
	}
	for n := 101; n < 140; n++ {
		edit(n)
	}
	if again := one[int64](t, pool, "SELECT version FROM epoch"); again != after {
		t.Errorf("announced again: %d, %d", after, again)
	}
	// A page of a user whose changes were lost is not older than what edges know of the user.
	pages, err := s.Users(t.Context(), []store.UserQuery{{Name: "vivian"}})
	if err != nil {
		t.Fatal(err)
	}
	if shown := version(pages[0].Depends, "user.vivian"); shown < after {
		t.Errorf("vivian's page shows version %d, after everything changed to %d", shown, after)
	}
}

// readable returns nil once a page can be read. It tries for 30 s.
func readable(ctx context.Context, s *store.Store) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if _, err := s.Users(ctx, []store.UserQuery{{Name: "vivian"}}); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// While the standby that commits wait for is away no action is acknowledged, not even one that is repeated: its first
// attempt is done on the primary alone, and lost if that is.
func waitsForStandby(t *testing.T, primary, standby *stack.Postgres) {
	s, pool := openURL(t, everyHost(t, primary))
	exec(t, pool, photoSQL("1", "Lake"))
	if d, err := s.Durability(t.Context()); err != nil || !d.LosesAtFailover() {
		t.Errorf("nothing is waited for: %+v, %v", d, err)
	}
	if err := primary.WaitForStandbys(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the primary waits for a standby", func() bool {
		d, err := s.Durability(t.Context())
		return err == nil && !d.LosesAtFailover()
	})
	title := "Waited for"
	edit := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := s.EditPhoto(ctx, "waits", 1, store.Edit{Title: &title})
		return err
	}
	if err := standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := edit(time.Second); err == nil {
		t.Error("acknowledged without the standby")
	}
	testenv.Eventually(t, "the attempt is given up, and seen", func() bool {
		return one[string](t, pool, "SELECT title FROM photos WHERE id = 1") == title
	})
	if err := edit(time.Second); err == nil {
		t.Error("acknowledged without the standby when it was repeated")
	}
	if err := standby.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := edit(30 * time.Second); err != nil {
		t.Errorf("with the standby: %v", err)
	}
	if err := primary.WaitForStandbys(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
}

// caughtUp waits until a standby shows what the primary has committed.
func caughtUp(t *testing.T, primary, standby *stack.Postgres) {
	t.Helper()
	const sent = "SELECT pg_current_wal_flush_lsn()::text"
	lsn := one[string](t, testenv.Pool(t, primary.URL()), sent)
	pool := testenv.Pool(t, standby.URL())
	testenv.Eventually(t, "the standby has caught up", func() bool {
		return one[bool](t, pool, "SELECT pg_last_wal_replay_lsn() >= '"+lsn+"'")
	})
}

// A pool with the address of a standby alone does not connect, and says why; that is worth another try.
func standbyIsNoPrimary(t *testing.T, standby *stack.Postgres) {
	for what, url := range map[string]string{
		"a standby": standby.URL(), "a standby without tables": standby.AdminURL("postgres"),
	} {
		if err := openPool(t, url).Ping(t.Context()); !errors.Is(err, store.ErrStandby) || !store.IsTransient(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A session that may not write reads the time from the row heartbeat, in the snapshot of its statement.
func readAtOfReplica(t *testing.T, primary, standby *stack.Postgres) {
	s, pool := openURL(t, everyHost(t, primary))
	replica := store.New(testenv.Pool(t, standby.URL()))
	if err := s.Beat(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, primary, standby)
	beat, err := replica.ReadAt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := one[time.Time](t, pool, "SELECT at FROM heartbeat"); !beat.Equal(want) {
		t.Errorf("the replica has come to %v; the heartbeat is %v", beat, want)
	}
	if now, err := s.ReadAt(t.Context()); err != nil || !now.After(beat) {
		t.Errorf("the primary: %v, %v; the heartbeat before it: %v", now, err, beat)
	}
	if err := s.Beat(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if again := one[time.Time](t, pool, "SELECT at FROM heartbeat"); !again.Equal(beat) {
		t.Errorf("written again within an hour: %v, %v", beat, again)
	}
	exec(t, pool, "UPDATE heartbeat SET at = now() + interval '1 hour'") // the clock was set back since
	if err := s.Beat(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if !one[bool](t, pool, "SELECT at < now() FROM heartbeat") {
		t.Error("a time that lies ahead is not written over")
	}
	caughtUp(t, primary, standby)
	if beat, err = replica.ReadAt(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, err := replica.Users(t.Context(), []store.UserQuery{{Name: "ansel"}})
	if err != nil {
		t.Fatal(err)
	}
	if !pages[0].ReadAt.Equal(beat) {
		t.Errorf("a page of the replica was read at %v; the heartbeat is %v", pages[0].ReadAt, beat)
	}
}

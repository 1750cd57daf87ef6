package renderer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// follow hears what the stream of changes is given, from now on.
func follow(t testing.TB, st *site, subject string) <-chan *nats.Msg {
	t.Helper()
	heard := make(chan *nats.Msg, 1000)
	if _, err := st.nc.ChanSubscribe(subject, heard); err != nil {
		t.Fatal(err)
	}
	if err := st.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return heard
}

// announced waits for a change of scope with a version above after, and returns it.
func announced(t testing.TB, heard <-chan *nats.Msg, scope string, after int64) wire.Change {
	t.Helper()
	hung := time.After(30 * time.Second)
	for {
		select {
		case m := <-heard:
			changes, err := wire.DecodeChanges(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range changes {
				if c.Scope == scope && c.Version > after {
					return c
				}
			}
		case <-hung:
			t.Fatalf("%s was never announced", scope)
		}
	}
}

func (st *site) retitle(t testing.TB, title string) {
	t.Helper()
	if _, err := st.pool.Exec(t.Context(), `UPDATE photos SET title = $1 WHERE id = 100`, title); err != nil {
		t.Fatal(err)
	}
}

// quiet waits until the outbox is empty, which holds at first the rows that the site began with.
func (st *site) quiet(t testing.TB) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		var waiting int
		if err := st.pool.QueryRow(t.Context(), `SELECT count(*) FROM outbox`).Scan(&waiting); err != nil ||
			waiting > 0 {
			return fmt.Errorf("%d changes wait, %w", waiting, err)
		}
		return nil
	})
}

func TestChangesReachTheStream(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	st.quiet(t)
	heard := follow(t, st, wire.SubjectBatch)
	before := scopesOf(st.get(t, page.User("ansel")))["user.ansel"]

	st.retitle(t, "by hand, in psql")
	c := announced(t, heard, "user.ansel", before)
	if now := scopesOf(st.get(t, page.User("ansel")))["user.ansel"]; now != c.Version || c.Gone {
		t.Errorf("announced %+v, the page has version %d", c, now)
	}
	begun := time.Now() // Postgres' clock is this machine's
	st.retitle(t, "by this process, which says so")
	s.relay.wake()
	announced(t, heard, "user.ansel", c.Version)
	t.Logf("commit to subscriber after a wake: %s", time.Since(begun))

	begun = time.Now()
	if _, err := st.pool.Exec(t.Context(), `UPDATE photos SET private = true WHERE id = 99`); err != nil {
		t.Fatal(err)
	}
	committed := time.Now()
	if c := announced(t, heard, "photo.99", 0); !c.Gone {
		t.Errorf("a photo that became private was announced as %+v, want gone", c)
	}
	st.quiet(t) // acknowledged, hence deleted

	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), wire.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), wire.SubjectBatch)
	if err != nil || last.Header.Get(jetstream.MsgIDHeader) != "" {
		t.Errorf("the stream's last batch: %v, %v; want no %s", last, err, jetstream.MsgIDHeader)
	}
	if since, ok := wire.ParseTime(last.Header.Get(wire.HeaderSince)); !ok ||
		since.Before(begun.Truncate(time.Microsecond)) || since.After(committed) {
		t.Errorf("the stream's last batch is of %v, want from %s to %s", last.Header, begun, committed)
	}
}

// TestWokenRelayComesBack: a relay that was asked for a round while another one had the lock asks again, since the
// other one may have looked before the change was committed.
func TestWokenRelayComesBack(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, func(c *Config) { c.RelayPoll = time.Hour })
	st.quiet(t)
	heard := follow(t, st, wire.SubjectBatch)
	other, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }() // a second time it does nothing
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_xact_lock(x'6b696c6c72'::bigint)`); err != nil {
		t.Fatal(err)
	}
	st.retitle(t, "while another one has the lock")
	wakened := monotonic.Now()
	s.relay.wake()
	eventually(t, 5*time.Second, func() error {
		if s.relay.lastAnswer() < wakened {
			return errors.New("it has not looked yet")
		}
		return nil
	})
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	announced(t, heard, "user.ansel", 0)
}

// TestOneRelayOfAll: of several services one relays and sends heartbeats, and another takes over when it goes.
func TestOneRelayOfAll(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	services := []*running{st.start(t, nil), st.start(t, nil), st.start(t, nil)}
	st.quiet(t)
	active := func() (is *running, n int) {
		for _, s := range services {
			if s.relay.active.Load() {
				is, n = s, n+1
			}
		}
		return is, n
	}
	eventually(t, 5*time.Second, func() error {
		if _, n := active(); n != 1 {
			return fmt.Errorf("%d relays are active", n)
		}
		return nil
	})
	heartbeats := follow(t, st, wire.SubjectHeartbeat)
	last := map[string]time.Time{} // by sender: on a machine that stalls, another one sends some for a moment
	for n := range 4 {
		select {
		case m := <-heartbeats:
			heartbeat, err := wire.DecodeHeartbeat(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			if heartbeat.Lag != 0 || time.Since(heartbeat.Time).Abs() > time.Minute {
				t.Errorf("heartbeat %+v", heartbeat)
			}
			who := m.Header.Get(wire.HeaderWorker)
			if before, is := last[who]; is && heartbeat.Time.Sub(before) < heartbeatEvery*99/100 { // by two clocks
				t.Errorf("%s sends one after %s, want once a second", who, heartbeat.Time.Sub(before))
			}
			last[who] = heartbeat.Time
		case <-time.After(30 * time.Second):
			t.Fatalf("no heartbeat for 30 s, after %d of them", n)
		}
	}
	var first *running
	eventually(t, 5*time.Second, func() error {
		var n int
		if first, n = active(); n != 1 {
			return fmt.Errorf("%d relays are active", n)
		}
		return nil
	})
	batches := follow(t, st, wire.SubjectBatch)
	begun := time.Now()
	first.stop()
	st.retitle(t, "after the active one has gone")
	announced(t, batches, "user.ansel", 0)
	t.Logf("from stop to the next relay's first batch: %s", time.Since(begun))
	eventually(t, 30*time.Second, func() error {
		if second, n := active(); n != 1 || second == first {
			return fmt.Errorf("%d relays are active, or still the one that stopped", n)
		}
		return nil
	})
}

func TestRelayOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	st.start(t, nil)
	st.quiet(t)
	heard := follow(t, st, wire.SubjectBatch)
	for i := range 3 {
		// Every connection but the one that says so: the relay's, wherever it is, and those that pages are read with.
		st.persist(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		begun := time.Now()
		st.persist(t, fmt.Sprintf(`UPDATE photos SET title = 'round %d' WHERE id = 100`, i))
		announced(t, heard, "user.ansel", 0)
		t.Logf("from the end of all connections to the next batch: %s", time.Since(begun))
	}
}

// persist executes sql, again if the pool gave a connection that had just been ended.
func (st *site) persist(t testing.TB, sql string) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		_, err := st.pool.Exec(t.Context(), sql)
		return err
	})
}

func TestRelayOutlivesNATS(t *testing.T) {
	t.Parallel()
	server := testenv.NATSServer(t)
	st := newSiteOn(t, server.URL(), testenv.Database(t))
	st.start(t, nil)
	st.quiet(t)
	server.Stop()
	st.retitle(t, "while the bus is away")
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	st.quiet(t)
	t.Logf("from the server's return to an empty outbox: %s", time.Since(begun))
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	var last *jetstream.RawStreamMsg
	eventually(t, 10*time.Second, func() error {
		stream, err := js.Stream(t.Context(), wire.StreamChanges)
		if err != nil {
			return err
		}
		last, err = stream.GetLastMsgForSubject(t.Context(), wire.SubjectBatch)
		return err
	})
	changes, err := wire.DecodeChanges(last.Data)
	if err != nil || len(changes) != 1 || changes[0].Scope != "user.ansel" {
		t.Errorf("the last batch after the restart says %v, %v", changes, err)
	}
	eventually(t, 10*time.Second, func() error { // pages too
		_, err := st.nc.Request("page.user.ansel", nil, time.Second)
		return err
	})
}

// TestBurstAfterNATS: requests that were made while NATS was away come at once to whichever renderer is back first.
// None is refused.
func TestBurstAfterNATS(t *testing.T) {
	t.Parallel()
	server := testenv.NATSServer(t)
	st := newSiteOn(t, server.URL(), testenv.Database(t))
	s := st.start(t, small)
	release := st.stall(t)
	defer release()
	first := st.ask(t, "page.user.ansel", nil)
	load(t, s, page.KindUser, 1, 0)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if !s.restarting() {
			return errors.New("the renderer is not back")
		}
		return nil
	})
	var burst []<-chan *nats.Msg
	for id := range 100 {
		burst = append(burst, st.ask(t, fmt.Sprintf("page.photo.%d", id+1), nil))
	}
	if err := st.nc.FlushTimeout(10 * time.Second); err != nil { // this client is back too, and hears the answers
		t.Fatal(err)
	}
	release()
	for _, answer := range append(burst, first) {
		if err := wire.ErrorOf(receive(t, answer)); err != nil {
			t.Fatalf("a request of the burst: %v", err)
		}
	}
}

// TestOverdueTwice: a relay does not take over in the first round that finds the heartbeat of another one overdue: its
// process may have stood still, and have that heartbeat to read.
func TestOverdueTwice(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	r := st.service(t, nil).relay
	defer r.storing.Wait()
	r.joined.Store(true)
	r.heardAt.Store(1) // long ago
	for round, want := range []bool{false, true} {
		if _, _, err := r.round(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if sent := r.sentAt != 0; sent != want {
			t.Errorf("round %d: it sends a heartbeat: %t", round, sent)
		}
	}
}

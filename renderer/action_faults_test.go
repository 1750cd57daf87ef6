package renderer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// oneAction leaves a service one worker for actions and room for two that wait.
func oneAction(c *Config) { c.ActionWorkers, c.QueueFactor = 1, 2 }

// askAction sends an edit without waiting for its answer.
func (st *site) askAction(t testing.TB, header nats.Header, form string) <-chan *nats.Msg {
	t.Helper()
	answer := make(chan *nats.Msg, 1)
	go func() {
		msg, err := st.nc.RequestMsg(&nats.Msg{Subject: "action.photo.edit", Header: header, Data: []byte(form)},
			20*time.Second)
		if err != nil {
			msg = wire.ErrorMsg("", err)
		}
		answer <- msg
	}()
	return answer
}

// lockPhoto keeps every change of photo 1 waiting until release is called.
func (st *site) lockPhoto(t testing.TB) (release func()) {
	t.Helper()
	tx, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM photos WHERE id = 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(t.Context()) } // a second time it does nothing
}

func key(n int) nats.Header { return nats.Header{wire.HeaderKey: {fmt.Sprint("key", n)}} }

func TestActionsAreBounded(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, oneAction)
	release := st.lockPhoto(t)
	defer release()
	answers := make(chan *nats.Msg, 4)
	ask := func(n int) {
		answer := st.askAction(t, key(n), "id=1&title=x")
		go func() { answers <- <-answer }()
	}
	ask(1)
	loadOf(t, s, "photo-edit", 1, 0)
	ask(2)
	ask(3)
	loadOf(t, s, "photo-edit", 1, 2)
	ask(4)
	if err := wire.ErrorOf(receive(t, answers)); wire.Code(err) != "busy" {
		t.Errorf("one action too many got %v, want busy", err)
	}
	if reply := st.get(t, page.User("ansel")); reply.Status != 200 {
		t.Errorf("pages wait for actions: status %d", reply.Status)
	}
	release()
	for range 3 {
		changed(t, receive(t, answers))
	}
	settled(t, s)
	if r := totalOf(s, "photo-edit"); r.Errors["busy"] != 1 || r.Requests != 4 || r.Queued != 0 || r.InFlight != 0 ||
		r.MeanBatch != 1 {
		t.Errorf("statistics: %+v", r)
	}
}

// TestExpiredActionsAreNotDone, whether they come too late or wait too long.
func TestExpiredActionsAreNotDone(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, oneAction)
	release := st.lockPhoto(t)
	defer release()
	first := st.askAction(t, key(1), "id=1&title=First")
	loadOf(t, s, "photo-edit", 1, 0)
	soon := time.Now().Add(50 * time.Millisecond)
	late := key(2)
	late.Set(wire.HeaderDeadline, wire.FormatTime(soon))
	waits := st.askAction(t, late, "id=1&title=Second")
	eventually(t, time.Second, func() error {
		if time.Now().Before(soon) {
			return errors.New("its deadline is still to come")
		}
		return nil
	})
	release()
	changed(t, receive(t, first))
	for _, answer := range []<-chan *nats.Msg{waits, st.askAction(t, late, "id=1&title=Second")} {
		if err := wire.ErrorOf(receive(t, answer)); wire.Code(err) != "expired" {
			t.Errorf("an action past its deadline: %v", err)
		}
	}
	if n := st.scalar(t, `SELECT count(*) FROM photos WHERE id = 1 AND title = 'First'`); n != 1 {
		t.Error("what had expired was done")
	}
}

func TestActionsThatPanicAreContained(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, oneAction)
	at := slices.IndexFunc(s.endpoints, func(e *endpoint) bool { return e.name == "photo-edit" })
	poison := &action{run: func(context.Context, *actionRun) (*outcome, error) { panic("poison") }}
	const times = 3
	for range times {
		answer := make(chan *nats.Msg, 1)
		inbox := edgeInbox()
		if _, err := st.nc.ChanSubscribe(inbox, answer); err != nil {
			t.Fatal(err)
		}
		if err := st.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		s.endpoints[at].stats.enqueued()
		s.actions.put(&job{request: request{action: poison, subject: "action.photo.edit", reply: inbox,
			endpoint: s.endpoints[at], arrived: now, deadline: now.Add(time.Minute)}})
		if err := wire.ErrorOf(receive(t, answer)); wire.Code(err) != "internal" {
			t.Fatalf("an action that panics: %v", err)
		}
	}
	changed(t, st.act(t, wire.ActionPhotoEdit, "key", "id=1&title=x")) // the worker lives
	if got := counted(t, s.metrics.panics); got != times {
		t.Errorf("counted %g panics, want %d", got, times)
	}
	if r := totalOf(s, "photo-edit"); r.Errors["internal"] != times || r.InFlight != 0 || r.Queued != 0 {
		t.Errorf("statistics: %+v", r)
	}
}

func TestStopFinishesActions(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, oneAction)
	release := st.lockPhoto(t)
	defer release()
	held := []<-chan *nats.Msg{st.askAction(t, key(1), "id=1&title=First")}
	loadOf(t, s, "photo-edit", 1, 0)
	held = append(held, st.askAction(t, key(2), "id=1&title=Second"))
	loadOf(t, s, "photo-edit", 1, 1)
	stopped := make(chan struct{})
	go func() {
		s.stop()
		close(stopped)
	}()
	eventually(t, 5*time.Second, func() error {
		if _, err := st.nc.Request("action.photo.delete", nil, time.Second); !errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("still in the queue group: %w", err)
		}
		return nil
	})
	select {
	case <-stopped:
		t.Error("it did not wait for what it held")
	default:
	}
	release()
	for _, answer := range held {
		changed(t, receive(t, answer))
	}
	<-stopped
	if n := st.scalar(t, `SELECT count(*) FROM photos WHERE id = 1 AND title = 'Second'`); n != 1 {
		t.Error("the last one was not done")
	}
}

// TestActionsOutliveARestartOfPostgres: what was confirmed is there, what was confirmed once was done once, and over a
// short restart nobody is told anything else.
func TestActionsOutliveARestartOfPostgres(t *testing.T) {
	t.Parallel()
	st, server := ownPostgres(t)
	st.start(t, nil)
	const writers, after = 3, 5
	restarted := make(chan struct{})
	var began atomic.Int64 // nanoseconds since 1970
	var confirmed [writers][]int64
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for n, left := 0, after; left > 0; n++ {
				reply, err := st.nc.RequestMsg(&nats.Msg{
					Subject: "action.photo.edit", Header: nats.Header{wire.HeaderKey: {fmt.Sprintf("%d-%d", w, n)}},
					Data: fmt.Appendf(nil, "id=%d&title=Round+%d", w+1, n),
				}, 20*time.Second)
				if err == nil {
					err = wire.ErrorOf(reply)
				}
				if err != nil {
					if at := began.Load(); at != 0 && time.Since(time.Unix(0, at)) > restartLimit {
						return nil // a machine that needs longer than this has an outage
					}
					return err
				}
				changes, err := wire.DecodeChanges(reply.Data)
				if err != nil {
					return err
				}
				confirmed[w] = append(confirmed[w], changes[0].Version)
				select {
				case <-restarted:
					left--
				default:
				}
			}
			return nil
		})
	}
	eventually(t, 10*time.Second, func() error { // they are at it
		if n := st.scalar(t, `SELECT count(*) FROM action_keys`); n < 10 {
			return fmt.Errorf("%d actions", n)
		}
		return nil
	})
	began.Store(time.Now().UnixNano())
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(restarted)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	seen := map[int64]bool{}
	for w, versions := range confirmed {
		for n, version := range versions {
			if seen[version] {
				t.Errorf("two actions have version %d", version)
			}
			seen[version] = true
			if is := st.scalar(t, `SELECT coalesce((SELECT versions[1] FROM action_keys WHERE key = $1), 0)`,
				fmt.Sprintf("%d-%d", w, n)); is != version {
				t.Errorf("action %d-%d was confirmed with version %d and is remembered with %d", w, n, version, is)
			}
		}
	}
	t.Logf("%d actions confirmed", len(seen))
}

func TestActionsInAnOutage(t *testing.T) {
	t.Parallel()
	st, server := ownPostgres(t)
	st.start(t, nil)
	server.Kill()
	eventually(t, 20*time.Second, func() error { // once it has been away for long, that is said quickly
		begun := time.Now()
		if err := wire.ErrorOf(st.act(t, wire.ActionPhotoEdit, "key",
			"id=1&title=x")); wire.Code(err) != "unavailable" {
			t.Fatalf("without Postgres: %v", err)
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			return fmt.Errorf("said after %s", took)
		}
		return nil
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		return wire.ErrorOf(st.act(t, wire.ActionPhotoEdit, "key",
			"id=1&title=x"))
	})
}

// TestActionsOnAFullDisk: an action that finds no room says so, and not that the database is away. Pages go on. With
// room again the same key does it.
func TestActionsOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := testenv.NewDisk(t, 512)
	disk.GiveToPostgres(t)
	st, server := ownPostgres(t)
	admin := testenv.Pool(t, server.AdminURL("killr"))
	for _, sql := range []string{
		"CREATE TABLESPACE small LOCATION '" + disk.Dir + "'", // the disk's root must be empty
		"GRANT CREATE ON TABLESPACE small TO killr",
		"ALTER TABLE action_keys SET TABLESPACE small",
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	st.start(t, nil)
	disk.Fill(t)
	reply := st.act(t, wire.ActionPhotoEdit, "key", "id=1&title=Lake")
	if err := wire.ErrorOf(reply); !errors.Is(err, wire.ErrFull) || wire.Status(err) != http.StatusInsufficientStorage {
		t.Errorf("on a full disk: %v, status %d", err, wire.Status(err))
	}
	st.get(t, page.User("ansel"))
	disk.Free(t)
	changed(t, st.act(t, wire.ActionPhotoEdit, "key", "id=1&title=Lake"))
}

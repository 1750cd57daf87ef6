package renderer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// act requests an action.
func (st *site) act(t testing.TB, name, key, form string) *nats.Msg {
	t.Helper()
	return st.send(t, name, nats.Header{wire.HeaderKey: {key}}, form)
}

func (st *site) send(t testing.TB, name string, header nats.Header, form string) *nats.Msg {
	t.Helper()
	msg, err := st.nc.RequestMsg(&nats.Msg{Subject: wire.ActionSubject(name), Header: header, Data: []byte(form)},
		20*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return msg
}

// changed is what an action's reply says.
func changed(t testing.TB, reply *nats.Msg) []wire.Change {
	t.Helper()
	if err := wire.ErrorOf(reply); err != nil {
		t.Fatal(err)
	}
	changes, err := wire.DecodeChanges(reply.Data)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// scalar asks the database for one number.
func (st *site) scalar(t testing.TB, sql string, args ...any) (n int64) {
	t.Helper()
	if err := st.pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// raised counts the versions that were given out from now on.
func (st *site) raised(t testing.TB) func() int64 {
	t.Helper()
	const last = `SELECT last_value FROM versions`
	before := st.scalar(t, last)
	return func() int64 { t.Helper(); return st.scalar(t, last) - before }
}

// TestActionsChangeRowsAndSayWhatChanged: the reply names the versions that the rows have, that the stream announces,
// and that the pages asked for next depend on.
func TestActionsChangeRowsAndSayWhatChanged(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	st.quiet(t)
	heard := follow(t, st, wire.SubjectBatch)
	for i, c := range []struct {
		action, form string
		row          string // of the photo: title and privacy
		photo        int64
		gone         bool
		scopes       int
	}{
		{wire.ActionPhotoEdit, "id=1&title=At+the+lake", "At the lake false", 1, false, 1},
		{wire.ActionPhotoPrivacy, "id=2&private=true", "Moonrise 2 true", 2, true, 2},
		{wire.ActionPhotoPrivacy, "id=2&private=false", "Moonrise 2 false", 2, false, 2},
		{wire.ActionPhotoPrivacy, "id=50&private=false", "Moonrise 50 false", 50, false, 2},
		{wire.ActionPhotoDelete, "id=3", "", 3, true, 2},   // in an album, with a tag
		{wire.ActionPhotoDelete, "id=80", "", 80, true, 2}, // neither
	} {
		reply := st.act(t, c.action, fmt.Sprint("key", i), c.form)
		changes := changed(t, reply)
		var row string
		if err := st.pool.QueryRow(t.Context(),
			`SELECT coalesce((SELECT title || ' ' || private FROM photos WHERE id = $1), '')`,
			c.photo).Scan(&row); err != nil || row != c.row {
			t.Errorf("%s: the row is %q, %v; want %q", c.form, row, err, c.row)
		}
		want := []wire.Change{{Scope: "user.ansel",
			Version: st.scalar(t, `SELECT version FROM users WHERE name = 'ansel'`), Gone: c.gone}}
		if photo := fmt.Sprint("photo.", c.photo); c.gone {
			want = append(want, wire.Change{Scope: photo,
				Version: st.scalar(t, `SELECT version FROM tombstones WHERE scope = $1`, photo), Gone: true})
		} else if c.scopes == 2 {
			want = append(want, wire.Change{Scope: photo, Version: want[0].Version})
		}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("%s: %s", c.form, diff)
		}
		for told := map[wire.Change]bool{}; !all(told, changes); {
			batch, err := wire.DecodeChanges(receive(t, heard).Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, change := range batch {
				told[change] = true
			}
		}
		for _, change := range changes {
			for _, ref := range []page.Ref{page.User("ansel"), page.Photo(c.photo)} {
				if v, on := scopesOf(st.get(t, ref))[change.Scope]; on && v != change.Version {
					t.Errorf("%s: %s depends on version %d of %s, the reply says %d", c.form, ref, v, change.Scope,
						change.Version)
				}
			}
		}
		if timing := wire.ParseTiming(reply.Header.Get(wire.HeaderTiming)); timing.SQL <= 0 {
			t.Errorf("%s: timing %v", c.form, timing)
		}
	}
	if err := wire.ErrorOf(st.act(t, wire.ActionPhotoDelete, "key", "id=3")); wire.Code(err) != "not_found" ||
		wire.Status(err) != 404 {
		t.Errorf("a photo that is gone: %v", err)
	}
}

// TestEarlyInvalidationComesFirst: before the reply, and says the same. An action that was not done gives none.
func TestEarlyInvalidationComesFirst(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	heard, reply := make(chan *nats.Msg, 10), st.nc.NewRespInbox()
	for _, subject := range []string{reply, wire.SubjectEarlyInvalidation} {
		if _, err := st.nc.ChanSubscribe(subject, heard); err != nil {
			t.Fatal(err)
		}
	}
	deletion := func(id string) {
		t.Helper()
		msg := &nats.Msg{Subject: wire.ActionSubject(wire.ActionPhotoDelete), Reply: reply,
			Header: nats.Header{wire.HeaderKey: {"key" + id}}, Data: []byte("id=" + id)}
		if err := st.nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	deletion("999999")
	if m := receive(t, heard); m.Subject != reply || wire.Code(wire.ErrorOf(m)) != "not_found" {
		t.Errorf("first comes %s: %q", m.Subject, m.Data)
	}
	deletion("4")
	early, done := receive(t, heard), receive(t, heard)
	if early.Subject != wire.SubjectEarlyInvalidation || done.Subject != reply || len(changed(t, done)) != 2 ||
		string(early.Data) != string(done.Data) {
		t.Errorf("then come %s: %q, and %s: %q", early.Subject, early.Data, done.Subject, done.Data)
	}
}

func all(told map[wire.Change]bool, changes []wire.Change) bool {
	return !slices.ContainsFunc(changes, func(c wire.Change) bool { return !told[c] })
}

// TestWriterSeesTheirOwnWrite: a page asked for after the reply has a version that is not below the one the reply
// names, whichever renderer makes it, and shows the change.
func TestWriterSeesTheirOwnWrite(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	st.start(t, nil)
	for n := range 20 {
		title := fmt.Sprint("Title ", n)
		version := changed(t, st.act(t, wire.ActionPhotoEdit, fmt.Sprint("key", n),
			fmt.Sprintf("id=1&title=Title+%d", n)))[0].Version
		reply := st.get(t, page.Photo(1))
		if got := texts(t, reply, "h1"); scopesOf(reply)["user.ansel"] != version || len(got) != 1 || got[0] != title {
			t.Fatalf("after %q with version %d: %v, %v", title, version, got, reply.Depends)
		}
	}
}

func TestOneKeyManyTimes(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	four := func(c *Config) { c.ActionWorkers = 4 }
	services := []*running{st.start(t, four), st.start(t, four)}
	versions := st.raised(t)
	replies := make([]*nats.Msg, 16)
	var group errgroup.Group
	for i := range replies {
		group.Go(func() (err error) {
			replies[i], err = st.nc.RequestMsg(&nats.Msg{
				Subject: "action.photo.privacy", Header: nats.Header{wire.HeaderKey: {"key"}},
				Data: []byte("id=1&private=true"),
			}, 20*time.Second)
			if err == nil {
				err = wire.ErrorOf(replies[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, r := range replies {
		if string(r.Data) != string(replies[0].Data) {
			t.Errorf("two replies:\n%s%s", replies[0].Data, r.Data)
		}
	}
	if n := versions(); n != 1 {
		t.Errorf("%d versions were raised, want 1", n)
	}
	answered := 0
	for _, s := range services {
		settled(t, s)
		r := totalOf(s, "photo-privacy")
		answered += r.Requests
		if len(r.Errors) > 0 || r.MeanBatch > 1 {
			t.Errorf("statistics: %+v", r)
		}
	}
	if answered != len(replies) {
		t.Errorf("%d requests in the statistics, want %d", answered, len(replies))
	}
	for _, other := range []struct{ action, form string }{{wire.ActionPhotoPrivacy, "id=1&private=false"},
		{wire.ActionPhotoDelete, "id=1"}} {
		if err := wire.ErrorOf(st.act(t, other.action, "key", other.form)); wire.Code(err) != "conflict" ||
			wire.Status(err) != 409 {
			t.Errorf("the key with %s %s: %v, want conflict", other.action, other.form, err)
		}
	}
	if again := st.act(t, wire.ActionPhotoPrivacy, "key",
		"private=true&id=01"); string(again.Data) != string(replies[0].Data) {
		t.Errorf("the same form in another spelling: %v %s", wire.ErrorOf(again), again.Data)
	}
}

// TestThawedDuplicateIsNotDone: a renderer was frozen with a request in its hands, the requester asked another with the
// same key, and a minute later the first wakes. What its deadline does not stop, the key does.
func TestThawedDuplicateIsNotDone(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	header := func(at time.Time) nats.Header {
		return nats.Header{wire.HeaderKey: {"key"}, wire.HeaderDeadline: {wire.FormatTime(at)}}
	}
	const form = "id=1&title=Once"
	first := st.send(t, wire.ActionPhotoEdit, header(time.Now().Add(wire.ActionDeadline)), form)
	changed(t, first)
	if reply := st.act(t, wire.ActionPhotoEdit, "other", "id=1&title=Since"); wire.ErrorOf(reply) != nil {
		t.Fatal(wire.ErrorOf(reply))
	}
	versions := st.raised(t)
	if err := wire.ErrorOf(st.send(t, wire.ActionPhotoEdit, header(time.Now().Add(-time.Minute)),
		form)); wire.Code(err) != "expired" {
		t.Errorf("the thawed request: %v, want expired", err)
	}
	// its deadline says nothing: the clocks differ
	late := st.send(t, wire.ActionPhotoEdit, header(time.Now().Add(time.Minute)), form)
	if wire.ErrorOf(late) != nil || string(late.Data) != string(first.Data) {
		t.Errorf("the thawed request, in time: %v %s; want what the first said: %s", wire.ErrorOf(late), late.Data,
			first.Data)
	}
	if n := versions(); n != 0 {
		t.Errorf("it was done again: %d versions were raised", n)
	}
	if n := st.scalar(t, `SELECT count(*) FROM photos WHERE id = 1 AND title = 'Since'`); n != 1 {
		t.Error("what was changed since is lost")
	}
}

// TestActionsInTheStatistics: each is an endpoint of its own, with its own figures.
func TestActionsInTheStatistics(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	changed(t, st.act(t, wire.ActionPhotoEdit, "a", "id=1&title=x"))
	st.act(t, wire.ActionPhotoEdit, "a", "id=1&title=y")
	st.act(t, wire.ActionPhotoEdit, "b", "id=1")
	changed(t, st.act(t, wire.ActionPhotoDelete, "c", "id=1"))
	st.act(t, wire.ActionPhotoDelete, "d", "id=1")
	settled(t, s)
	var stats micro.Stats
	if err := json.Unmarshal(st.request(t, "$SRV.STATS.renderer."+s.id).Data, &stats); err != nil {
		t.Fatal(err)
	}
	got := map[string]report{}
	for _, e := range stats.Endpoints {
		var r report
		if err := json.Unmarshal(e.Data, &r); err != nil {
			t.Fatal(err)
		}
		got[e.Name+" "+e.Subject] = report{Requests: r.Requests, Errors: r.Errors, MeanBatch: r.MeanBatch}
		if e.Name == "photo-edit" && (r.P50 <= 0 || e.AverageProcessingTime <= 0 || e.NumErrors != 2) {
			t.Errorf("%+v %s", e, e.Data)
		}
	}
	for name, want := range map[string]report{
		"photo-edit action.photo.edit": {Requests: 3, Errors: map[string]int{"conflict": 1, "bad_request": 1},
			MeanBatch: 1},
		"photo-delete action.photo.delete":   {Requests: 2, Errors: map[string]int{"not_found": 1}, MeanBatch: 1},
		"photo-privacy action.photo.privacy": {Errors: map[string]int{}},
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for code, want := range map[string]float64{"ok": 1, "conflict": 1, "bad_request": 1} {
		if n := counted(t, s.metrics.requests.WithLabelValues("photo-edit", code)); n != want {
			t.Errorf("metrics count %g of %s, want %g", n, code, want)
		}
	}
}

// TestOldKeysAreForgotten: the active relay sees to it.
func TestOldKeysAreForgotten(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	changed(t, st.act(t, wire.ActionPhotoEdit, "young", "id=1&title=x"))
	changed(t, st.act(t, wire.ActionPhotoEdit, "old", "id=1&title=y"))
	if _, err := st.pool.Exec(t.Context(), `UPDATE action_keys SET at = now() - $1::interval WHERE key = 'old'`,
		wire.KeyAge); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if n := st.scalar(t, `SELECT count(*) FROM action_keys WHERE key = 'old'`); n > 0 {
			return errors.New("it is still there")
		}
		return nil
	})
	if n := st.scalar(t, `SELECT count(*) FROM action_keys WHERE key = 'young'`); n != 1 {
		t.Error("a young key was forgotten")
	}
}

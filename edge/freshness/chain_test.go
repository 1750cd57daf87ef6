package freshness

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// relay sends what a relay sends, to one of the two ways or to both.
type relay struct {
	t  *testing.T
	nc *nats.Conn
	js jetstream.JetStream
}

func newRelay(t *testing.T) *relay {
	nc, _ := newStream(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	testenv.KeepStreams(t, js)
	return &relay{t, nc, js}
}

// ways are where a message goes: to all edges at once, to the stream, or both.
type ways struct{ live, stored bool }

var both, liveOnly, storedOnly = ways{true, true}, ways{true, false}, ways{false, true}

func (r *relay) send(to ways, live, stored string, data []byte, header nats.Header) {
	r.t.Helper()
	if to.live {
		if err := r.nc.PublishMsg(&nats.Msg{Subject: live, Data: data, Header: header}); err != nil {
			r.t.Fatal(err)
		}
	}
	if to.stored {
		msg := &nats.Msg{Subject: stored, Data: data, Header: header}
		if _, err := r.js.PublishMsg(r.t.Context(), msg); err != nil {
			r.t.Fatal(err)
		}
	}
}

// batch sends a batch that raises ansel to a version.
func (r *relay) batch(to ways, name, after string, version int64) {
	r.t.Helper()
	header := nats.Header{}
	wire.Link{Batch: name, After: after}.Set(header)
	data := wire.EncodeChanges([]wire.Change{{Scope: user("ansel"), Version: version}})
	r.send(to, wire.SubjectLiveBatch, wire.SubjectBatch, data, header)
}

func (r *relay) heartbeat(to ways, last string, unstored bool) {
	r.t.Helper()
	data := wire.Heartbeat{Time: time.Now(), Last: last, Unstored: unstored}.Encode()
	r.send(to, wire.SubjectLiveHeartbeat, wire.SubjectHeartbeat, data, nil)
}

// heard returns when the feed has handled all that was sent to all edges before.
func (r *relay) heard(f *Feed) {
	r.t.Helper()
	name := user("mark" + strconv.FormatInt(time.Now().UnixNano(), 10))
	data := wire.EncodeChanges([]wire.Change{{Scope: name, Version: 1}})
	r.send(liveOnly, wire.SubjectEarlyInvalidation, "", data, nil)
	testenv.Eventually(r.t, "the feed has heard all", func() bool { return f.tracker.Scope(name).Newest() == 1 })
}

// read returns when the feed has handled all that is in the stream.
func (r *relay) read(f *Feed) {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), wire.StreamChanges)
	if err != nil {
		r.t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	testenv.Eventually(r.t, "the feed has read all", func() bool { return f.last.Load() >= last })
}

// started runs a feed that is current and knows the batch a.1.
func (r *relay) started() *Feed {
	r.t.Helper()
	f := follow(r.t, r.nc, newMetrics())
	testenv.Eventually(r.t, "the feed is current", func() bool {
		r.heartbeat(both, "a.1", false)
		return !f.tracker.FeedStale()
	})
	r.heard(f)
	r.read(f)
	return f
}

// TestStreamIsAway: without the stream, as while its servers elect a leader, an edge that hears all of a relay knows
// what changes and that it has missed nothing. Another relay goes on with the chain.
func TestStreamIsAway(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	f := r.started()
	if err := r.js.DeleteStream(t.Context(), wire.StreamChanges); err != nil {
		t.Fatal(err)
	}
	before := f.tracker.InvalidBefore()
	f.tracker.forgetHeartbeats()
	r.batch(liveOnly, "a.2", "a.1", 2)
	r.batch(liveOnly, "b.1", "a.2", 3)
	testenv.Eventually(t, "the feed is current without the stream", func() bool {
		r.heartbeat(liveOnly, "b.1", true)
		return !f.tracker.FeedStale()
	})
	if version := f.tracker.Scope(user("ansel")).Newest(); version != 3 {
		t.Errorf("it knows version %d", version)
	}
	if !f.tracker.InvalidBefore().Equal(before) {
		t.Error("older pages are invalid, although nothing was missed")
	}
}

// TestStreamLostItsEnd: a stream that has fewer messages than an edge has read, as after a loss of power without
// sync_interval, may lack what the edge missed as well: then older pages are invalid.
func TestStreamLostItsEnd(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	f := r.started()
	before := f.tracker.InvalidBefore()
	f.last.Add(100)                     // of which the stream knows nothing
	r.heartbeat(liveOnly, "a.9", false) // so the edge asks
	testenv.Eventually(t, "the edge knows of the loss", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.gap
	})
	testenv.Eventually(t, "older pages are invalid", func() bool {
		r.heartbeat(storedOnly, "a.9", false)
		return f.tracker.InvalidBefore().After(before)
	})
}

// TestMissedBatch: an edge that missed a batch does not rely on heartbeats that come after it, until it has read the
// batch in the stream, or the relay has repeated it.
func TestMissedBatch(t *testing.T) {
	t.Parallel()
	for name, repair := range map[string]func(*relay){
		"the stream delivers it": func(r *relay) {
			r.batch(storedOnly, "a.2", "a.1", 2)
			r.batch(storedOnly, "a.3", "a.2", 3)
		},
		"the relay repeats it":            func(r *relay) { r.batch(liveOnly, "a.3", "a.1", 3) },
		"the stream says that it has all": func(r *relay) { r.heartbeat(storedOnly, "a.3", false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t)
			f := r.started()
			before := f.tracker.InvalidBefore()
			f.tracker.forgetHeartbeats()
			r.batch(liveOnly, "a.3", "a.2", 3)
			r.heartbeat(both, "a.3", true)
			r.heard(f)
			r.read(f)
			if !f.tracker.FeedStale() {
				t.Fatal("the feed is current, and a batch is missing")
			}
			if f.tracker.Scope(user("ansel")).Newest() != 3 {
				t.Error("what it heard after the gap it does not know")
			}
			repair(r)
			testenv.Eventually(t, "the feed is current", func() bool {
				r.heartbeat(both, "a.3", true)
				return !f.tracker.FeedStale()
			})
			if !f.tracker.InvalidBefore().Equal(before) {
				t.Error("older pages are invalid, although it knows now what it missed")
			}
		})
	}
}

// TestStartWhileNotAllIsStored: an edge that begins reads the stream. It relies on heartbeats only when one says that
// the stream has all.
func TestStartWhileNotAllIsStored(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	r.batch(storedOnly, "a.1", "", 1)
	r.heartbeat(both, "a.2", true) // a.2 is in no stream
	f := follow(t, r.nc, newMetrics())
	testenv.Eventually(t, "the feed has begun", f.CaughtUp)
	r.batch(both, "a.3", "a.2", 3)
	r.heartbeat(both, "a.3", true)
	r.heard(f)
	r.read(f)
	if !f.tracker.FeedStale() {
		t.Error("the feed is current, and the stream lacks a batch")
	}
	r.batch(both, "a.4", "a.3", 4) // has what a.2 had
	r.heartbeat(both, "a.4", false)
	testenv.Eventually(t, "the feed is current", func() bool { return !f.tracker.FeedStale() })
}

// TestStreamIsMadeAnewUnnoticed: an edge missed changes while the stream was made anew, and then the new one has grown
// past the place where the edge reads on. The edge reads it from its beginning, before it relies on it.
func TestStreamIsMadeAnewUnnoticed(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	f := r.started()
	if err := r.js.DeleteStream(t.Context(), wire.StreamChanges); err != nil {
		t.Fatal(err)
	}
	if _, err := r.js.CreateStream(t.Context(), wire.ChangesConfig()); err != nil {
		t.Fatal(err)
	}
	scope := f.tracker.Scope(user("ansel"))
	f.tracker.forgetHeartbeats()
	r.batch(storedOnly, "a.2", "a.1", 2)
	for range f.last.Load() {
		r.heartbeat(storedOnly, "a.2", false)
	}
	testenv.Eventually(t, "the feed is current", func() bool {
		r.heartbeat(both, "a.2", false)
		return !f.tracker.FeedStale()
	})
	if scope.Newest() != 2 {
		t.Errorf("it relies on heartbeats, and knows version %d", scope.Newest())
	}
}

// TestChainIsBounded: a chain remembers the newest batches, and what follows a forgotten one is not known.
func TestChainIsBounded(t *testing.T) {
	t.Parallel()
	var c chain
	c.begin("0")
	for i := range maxChain {
		if link := (wire.Link{Batch: strconv.Itoa(i + 1), After: strconv.Itoa(i)}); !c.follow(link) || c.follow(link) {
			t.Fatalf("batch %d is not new, or new twice", i+1)
		}
	}
	if c.has("0") || !c.has("1") || !c.has(strconv.Itoa(maxChain)) || len(c.known) != maxChain {
		t.Errorf("%d batches are known", len(c.known))
	}
	if c.follow(wire.Link{Batch: "x", After: "0"}) || c.follow(wire.Link{}) || c.has("") {
		t.Error("a batch without a known one before it is known")
	}
}

package freshness

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func newMetrics() FeedMetrics {
	return FeedMetrics{
		Delay:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "delay"}),
		Unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: "unreadable"}),
		Pauses:     prometheus.NewCounter(prometheus.CounterOpts{Name: "pauses"}),
	}
}

// newCurrent returns a tracker whose feed is not stale for an hour.
func newCurrent() *Tracker {
	t := New(&wire.Clock{})
	t.goodUntil.Store(int64(time.Hour))
	return t
}

// newReliant returns a feed that relies on heartbeats after the batch a.1.
func newReliant(tracker *Tracker) *Feed {
	feed := NewFeed(nil, tracker, newMetrics(), slog.New(slog.DiscardHandler))
	feed.chain.begin("a.1")
	feed.chain.confirmed = true
	return feed
}

func user(name string) string { return "user." + name }

// TestForgottenScopes: a page whose scope was forgotten is neither fresh nor served as stale.
func TestForgottenScopes(t *testing.T) {
	t.Parallel()
	tracker := newCurrent()
	tracker.rotated = time.Now().Add(-time.Second)
	old := tracker.Basis(&wire.Reply{
		MaxAge: wire.PageAge, ReadAt: time.Now().Add(-time.Minute),
		Depends: []wire.Dep{{Scope: user("ansel"), Version: 1}},
	})
	if now := time.Now(); !tracker.Fresh(&old, now) || !tracker.MayServeStale(&old, now) {
		t.Fatal("a page is not fresh although its scope is remembered")
	}
	for i := 1; tracker.old[user("ansel")] != nil || tracker.young[user("ansel")] != nil; i++ {
		tracker.Scope(user(fmt.Sprint("u", i)))
		if i > 3*maxScopes {
			t.Fatal("no scope is ever forgotten")
		}
	}
	if n := tracker.Scopes(); n > 2*maxScopes {
		t.Errorf("%d scopes are remembered, want %d at most", n, 2*maxScopes)
	}
	tracker.Learn(wire.Change{Scope: user("ansel"), Version: 2, Gone: true})
	if now := time.Now(); tracker.Fresh(&old, now) || tracker.MayServeStale(&old, now) {
		t.Error("a deleted user's page is served because its scope was forgotten")
	}
}

// TestLateHeartbeats: a process that was frozen or disconnected receives old heartbeats. They do not make the feed
// current.
func TestLateHeartbeats(t *testing.T) {
	t.Parallel()
	tracker := New(&wire.Clock{})
	feed := newReliant(tracker)
	now := time.Now()
	feed.heartbeat(wire.Heartbeat{Time: now, Last: "a.1"})
	if tracker.FeedStale() {
		t.Fatal("a new heartbeat does not make the feed current")
	}
	tracker.forgetHeartbeats()
	for ago := 300 * time.Second; ago > heartbeatGrace; ago -= time.Second {
		feed.heartbeat(wire.Heartbeat{Time: now.Add(-ago), Last: "a.1"})
		if !tracker.FeedStale() {
			t.Fatalf("a heartbeat of %v ago makes the feed current", ago)
		}
	}
	feed.heartbeat(wire.Heartbeat{Time: time.Now(), Last: "a.1"})
	if tracker.FeedStale() {
		t.Error("a new heartbeat after late ones does not make the feed current")
	}
}

// newStream creates CHANGES on a NATS server of its own, and returns a connection and a function that publishes.
func newStream(t *testing.T) (nc *nats.Conn, publish func(subject string, data []byte)) {
	t.Helper()
	nc = testenv.Connect(t, testenv.NATSServer(t).URL())
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), wire.ChangesConfig()); err != nil {
		t.Fatal(err)
	}
	return nc, func(subject string, data []byte) {
		t.Helper()
		if _, err := js.Publish(t.Context(), subject, data); err != nil {
			t.Fatal(err)
		}
	}
}

// follow runs a feed until the test ends.
func follow(t *testing.T, nc *nats.Conn, m FeedMetrics) *Feed {
	t.Helper()
	feed := NewFeed(nc, New(&wire.Clock{}), m, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { feed.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return feed
}

// TestGapInTheStream: after a gap in the stream no page that was read before the gap is fresh.
func TestGapInTheStream(t *testing.T) {
	t.Parallel()
	nc, publish := newStream(t)
	feed := follow(t, nc, newMetrics())
	tracker := feed.tracker
	beat := func() bool {
		publish(wire.SubjectHeartbeat, wire.Heartbeat{Time: time.Now()}.Encode())
		return !tracker.FeedStale()
	}
	testenv.Eventually(t, "heartbeats make the feed current", beat)
	before := tracker.InvalidBefore()
	feed.last.Add(^uint64(4)) // as if the next five messages had been lost
	testenv.Eventually(t, "older pages are invalid", func() bool {
		beat()
		return tracker.InvalidBefore().After(before)
	})
}

// TestPause: a process that did not run trusts no page older than a second, from the moment it runs again until a
// heartbeat arrives that was written since.
func TestPause(t *testing.T) {
	t.Parallel()
	tracker := New(&wire.Clock{})
	feed := newReliant(tracker)
	start := time.Now()
	page := Basis{ReadAt: start.Add(-2 * time.Second), MaxAge: time.Hour}
	fresh := func(when string, at time.Time, want bool) {
		t.Helper()
		if got := tracker.Fresh(&page, at); got != want {
			t.Errorf("%s: fresh %t", when, got)
		}
	}
	feed.heartbeat(wire.Heartbeat{Time: start, Last: "a.1"})
	tracker.runs(start, start)
	later := start.Add(checkEvery)
	tracker.runs(start, later)
	fresh("it runs", later, true)
	resumed := later.Add(2 * time.Second) // the last heartbeat alone would make the page fresh for another second
	fresh("it runs again", resumed, false)
	if gap := tracker.runs(later, resumed); gap != resumed.Sub(later) {
		t.Errorf("a pause of %v", gap)
	}
	fresh("it has noticed the pause", resumed, false)
	feed.heartbeat(wire.Heartbeat{Time: resumed.Add(-time.Millisecond), Last: "a.1"})
	fresh("a heartbeat from before its end", resumed, false)
	after := resumed.Add(checkEvery)
	tracker.runs(resumed, after)
	feed.heartbeat(wire.Heartbeat{Time: after, Last: "a.1"})
	fresh("a heartbeat written since", after, true)
}

// TestClockSetForward: to an edge whose machine's clock is set forward by an hour it seems that it did not run, and
// then that all heartbeats are from before. It believes them again after some seconds.
func TestClockSetForward(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracker := New(&wire.Clock{})
		now := time.Now()
		tracker.clock.Observe(wire.Heartbeat{Time: now.Add(time.Hour)}, now) // as if the step had come just after it
		tracker.runs(now.Add(-time.Second), now)
		for second := 1; second < 6; second++ {
			time.Sleep(time.Second) // of the bubble's clock
			now = time.Now()
			tracker.runs(now, now)
			tracker.heartbeat(wire.Heartbeat{Time: now}, 0)
			if stale, want := tracker.FeedStale(), time.Duration(second)*time.Second <= heartbeatGrace; stale != want {
				t.Errorf("%d s later: stale %t", second, stale)
			}
		}
	})
}

// TestUnreadableMessage: what no relay has sent is skipped and counted. It makes no page invalid.
func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	nc, publish := newStream(t)
	publish(wire.SubjectBatch, []byte("\x00garbage\n"))
	metrics := newMetrics()
	tracker := follow(t, nc, metrics).tracker
	testenv.Eventually(t, "the feed is current", func() bool {
		publish(wire.SubjectHeartbeat, wire.Heartbeat{Time: time.Now()}.Encode())
		return !tracker.FeedStale()
	})
	before := tracker.InvalidBefore()
	publish(wire.SubjectBatch, []byte("user.ansel eighteen\n"))
	publish(wire.SubjectHeartbeat, []byte("{}"))
	publish(wire.SubjectBatch, wire.EncodeChanges([]wire.Change{{Scope: user("ansel"), Version: 18}}))
	testenv.Eventually(t, "the change after them is known", func() bool {
		return tracker.Scope(user("ansel")).Newest() == 18
	})
	if got := tracker.InvalidBefore(); !got.Equal(before) {
		t.Errorf("pages read before %v are invalid, before it was %v", got, before)
	}
	var m dto.Metric
	if err := metrics.Unreadable.Write(&m); err != nil || m.GetCounter().GetValue() != 3 {
		t.Errorf("%v unreadable messages, %v, want 3", m.GetCounter().GetValue(), err)
	}
}

func BenchmarkFreshWithTenScopes(b *testing.B) {
	tracker := newCurrent()
	reply := &wire.Reply{ReadAt: time.Now(), MaxAge: time.Hour}
	for i := range int64(10) {
		reply.Depends = append(reply.Depends, wire.Dep{Scope: user(fmt.Sprint("u", i+1)), Version: i})
	}
	basis := tracker.Basis(reply)
	b.ReportAllocs()
	for b.Loop() {
		if !tracker.Fresh(&basis, time.Now()) {
			b.Fatal("not fresh")
		}
	}
}

// All edges have one key: an edge replaces a key that an operator deleted, and the others adopt it.
func TestDeletedKeyIsReplaced(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATSServer(t).URL())
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	testenv.KeepStreams(t, js)
	var all [2]*Tokens
	for i := range all {
		all[i] = NewTokens(nc, New(&wire.Clock{}), slog.New(slog.DiscardHandler))
	}
	renew := func() wire.FreshKey {
		t.Helper()
		for _, tokens := range all {
			if err := tokens.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(*all[0].Key(), *all[1].Key()) {
			t.Error("two edges have different keys")
		}
		return *all[0].Key()
	}
	first := renew()
	if again := renew(); !bytes.Equal(again, first) {
		t.Error("the key was replaced without a reason")
	}
	bucket, err := js.KeyValue(t.Context(), wire.BucketKeys)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Delete(t.Context(), wire.FreshKeyID); err != nil {
		t.Fatal(err)
	}
	if second := renew(); bytes.Equal(second, first) {
		t.Error("a deleted key is still used")
	}
	if _, err := bucket.Put(t.Context(), wire.FreshKeyID, []byte("short")); err != nil {
		t.Fatal(err)
	}
	if err := all[0].renew(t.Context()); err == nil || !strings.Contains(err.Error(), "nats kv del KEYS fresh") {
		t.Errorf("a key of 5 bytes: error %v, want one that says how to delete it", err)
	}
	if err := js.DeleteKeyValue(t.Context(), wire.BucketKeys); err != nil {
		t.Fatal(err)
	}
	renew() // creates the bucket again
}

// TestGoneOnly: a copy of what never changes is overtaken only by a change that took something away. It is then not
// shown as a stale one either. The same copy of what may change is overtaken by every change.
func TestGoneOnly(t *testing.T) {
	t.Parallel()
	tracker, now := newCurrent(), time.Now()
	reply := wire.Reply{MaxAge: wire.PageAge, ReadAt: now, Immutable: true,
		Depends: []wire.Dep{{Scope: wire.ScopeAll, Version: 3}, {Scope: user("ansel"), Version: 18}}}
	picture := tracker.Basis(&reply)
	reply.Immutable = false
	page := tracker.Basis(&reply)
	reply.Immutable, reply.Depends = true, nil
	asset := tracker.Basis(&reply)
	check := func(when string, pictureFresh, pageFresh, pictureStale bool) {
		t.Helper()
		if got := tracker.Fresh(&picture, now); got != pictureFresh {
			t.Errorf("%s: the picture is fresh: %t", when, got)
		}
		if got := tracker.Fresh(&page, now); got != pageFresh {
			t.Errorf("%s: the page is fresh: %t", when, got)
		}
		if got := tracker.MayServeStale(&picture, now); got != pictureStale {
			t.Errorf("%s: the picture may be shown as a stale one: %t", when, got)
		}
		if !tracker.Fresh(&asset, now.Add(30*24*time.Hour)) {
			t.Errorf("%s: an asset is not fresh", when)
		}
	}
	check("at first", true, true, true)
	tracker.Learn(wire.Change{Scope: user("dorothea"), Version: 30, Gone: true})
	tracker.Learn(wire.Change{Scope: user("ansel"), Version: 18, Gone: true}) // which it shows
	check("after the changes that it shows", true, true, true)
	tracker.Learn(wire.Change{Scope: user("ansel"), Version: 19})
	check("after an edit", true, false, true)
	tracker.Learn(wire.Change{Scope: user("ansel"), Version: 20, Gone: true})
	check("after a deletion", false, false, false)

	picture = tracker.Basis(&wire.Reply{MaxAge: wire.PageAge, ReadAt: now, Immutable: true,
		Depends: []wire.Dep{{Scope: user("ansel"), Version: 20}}})
	if !tracker.Fresh(&picture, now) || tracker.Fresh(&picture, now.Add(wire.PageAge)) {
		t.Error("a copy of after the deletion is not fresh, or is so for ever")
	}
	tracker.invalidateBefore(0)
	if tracker.Fresh(&picture, now) {
		t.Error("a copy that may have missed changes is fresh")
	}
}

package cachefill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const asset = "asset.app.0123abcd.css"

// site is a bus, a memcached and a renderer whose pages are as large and as old as a test wants.
type site struct {
	t       testing.TB
	url     string
	nc      *nats.Conn
	cache   *memcache.Client
	addr    string
	renders atomic.Int64

	mu    sync.Mutex
	reply func(page.Ref) *wire.Reply
}

func newSite(t testing.TB) *site {
	s := &site{t: t, url: testenv.NATS(t), addr: testenv.Memcached(t)}
	s.nc = testenv.Connect(t, s.url)
	s.cache = memcache.New(s.addr)
	s.cache.Timeout = 10 * time.Second
	t.Cleanup(func() { _ = s.cache.Close() })
	s.answerWith(func(ref page.Ref) *wire.Reply {
		return &wire.Reply{Status: 200, ContentType: "text/html", MaxAge: wire.PageAge, ReadAt: time.Now(),
			Body: []byte(ref.Subject())}
	})
	s.join()
	return s
}

// join has the site's renderer begin to answer.
func (s *site) join() {
	s.t.Helper()
	for _, subject := range []string{"page.>", "asset.>"} {
		if _, err := s.nc.QueueSubscribe(subject, wire.QueueRenderer, s.render); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.nc.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) render(m *nats.Msg) {
	if m.Subject == wire.SubjectAssets {
		_ = m.Respond([]byte(asset + "\n"))
		return
	}
	ref, err := page.ParseSubject(m.Subject)
	if err != nil {
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBadRequest))
		return
	}
	if ref.Kind() != page.KindAsset {
		s.renders.Add(1)
	}
	if accept := m.Header.Get(wire.HeaderAccept); accept != wire.EncodingGzip {
		s.t.Errorf("%s is asked for in %q", ref, accept)
	}
	s.mu.Lock()
	reply := s.reply
	s.mu.Unlock()
	answer := reply(ref)
	answer.Key = ref.Key()
	_ = m.Respond(answer.Encode())
}

func (s *site) answerWith(f func(page.Ref) *wire.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = f
}

// filler starts a cachefill, stopped when the test ends, and returns when it is ready.
func (s *site) filler(change ...func(*Config)) *Filler {
	s.t.Helper()
	f, stop := s.begin(change...)
	s.t.Cleanup(stop)
	eventually(s.t, "the cachefill is ready", func() bool { return f.Ready() == nil })
	return f
}

// begin starts a cachefill.
func (s *site) begin(change ...func(*Config)) (f *Filler, stop func()) {
	s.t.Helper()
	cfg := Config{NATS: testenv.ConnectAs(s.t, s.url, wire.RoleCachefill), Memcached: []string{s.addr},
		Version: "1.2.3",
		Timeout: 10 * time.Second, Logger: slog.New(slog.NewTextHandler(s.t.Output(), nil))}
	for _, f := range change {
		f(&cfg)
	}
	f, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	return f, func() { cancel(); wg.Wait() }
}

// want publishes a note as an edge does.
func (s *site) want(ref page.Ref, readAt time.Time) {
	s.t.Helper()
	if err := s.nc.PublishMsg(wire.Fill{Ref: ref, ReadAt: readAt}.Msg()); err != nil {
		s.t.Fatal(err)
	}
}

// settled waits until the fillers have finished n notes between them.
func settled(t testing.TB, n int64, fillers ...*Filler) (counts [results]int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d notes are dealt with", n), func() bool {
		sum := int64(0)
		counts = [results]int64{}
		for _, f := range fillers {
			for r := range results {
				counts[r] += f.metrics.counts[r].Load()
				sum += f.metrics.counts[r].Load()
			}
		}
		return sum >= n
	})
	return counts
}

// eventually waits for a condition that no channel tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Within(t, 20*time.Second, what, ok)
}

func TestStoresTheReplyAsItCame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.filler()
	var packed bytes.Buffer
	(&wire.Gzip{}).Pack(&packed, []byte("a page"))
	reply := &wire.Reply{Status: 200, ContentType: "text/html", Encoding: wire.EncodingGzip, MaxAge: wire.PageAge,
		ReadAt: time.UnixMicro(12345), Body: packed.Bytes()}
	s.answerWith(func(page.Ref) *wire.Reply { return reply })
	s.want(page.User("ansel"), time.UnixMicro(12345))
	settled(t, 1, f)
	item, err := s.cache.Get("page.user.ansel")
	if err != nil || !bytes.Equal(item.Value, reply.Encode()) {
		t.Errorf("%v: %+v", err, item)
	}
	if _, err := s.cache.Get(asset); err != nil {
		t.Errorf("the assets are not warm: %v", err)
	}
	if _, err := s.cache.Get(lockPrefix + "page.user.ansel"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Errorf("the lock is still there: %v", err)
	}
}

func TestOneOfManyFills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fillers := []*Filler{s.filler(), s.filler(), s.filler()}
	const notes = 60
	readAt := time.Now()
	for range notes {
		s.want(page.User("ansel"), readAt)
	}
	counts := settled(t, notes, fillers...)
	if counts[resultFilled] != 1 || counts[resultHeld]+counts[resultJoined] != notes-1 || s.renders.Load() != 1 {
		t.Errorf("%d filled, %d held, %d joined, %d renders; want 1, %d of both, 1", counts[resultFilled],
			counts[resultHeld], counts[resultJoined], s.renders.Load(), notes-1)
	}
	s.want(page.User("ansel"), time.Now()) // a newer one is wanted: what lies there does not do any more
	if counts = settled(t, notes+1, fillers...); counts[resultFilled] != 2 {
		t.Errorf("%d filled, want 2", counts[resultFilled])
	}
}

func TestTooLargeLeavesTheOldValue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.filler()
	s.want(page.User("ansel"), time.Time{})
	settled(t, 1, f)
	old, err := s.cache.Get("page.user.ansel")
	if err != nil {
		t.Fatal(err)
	}
	s.answerWith(func(page.Ref) *wire.Reply {
		return &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now(),
			Body: make([]byte, 1<<20-itemOverhead)}
	})
	s.want(page.User("ansel"), time.Now())
	if counts := settled(t, 2, f); counts[resultTooLarge] != 1 {
		t.Errorf("counts %v", counts)
	}
	item, err := s.cache.Get("page.user.ansel")
	if err != nil || !bytes.Equal(item.Value, old.Value) {
		t.Errorf("the old value is gone: %v", err)
	}
	// What is below the limit must really fit: otherwise memcached drops the old value.
	s.answerWith(func(ref page.Ref) *wire.Reply {
		body := make([]byte, 1<<20-itemOverhead-len(ref.Key())-200)
		return &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now(), Body: body}
	})
	s.want(page.User("ansel"), time.Now())
	if counts := settled(t, 3, f); counts[resultFilled] != 2 {
		t.Errorf("counts %v", counts)
	}
	if item, err := s.cache.Get("page.user.ansel"); err != nil || bytes.Equal(item.Value, old.Value) {
		t.Errorf("just below the limit: %v", err)
	}
}

// A memcached that takes smaller items than the cachefill knows refuses a large one. It keeps the old value, and goes
// on to be filled.
func TestRefusedLeavesTheOldValue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addr = testenv.MemcachedWith(t, stack.MemcachedConfig{ItemKiB: 512}).Addr()
	s.cache = memcache.New(s.addr)
	s.cache.Timeout = 10 * time.Second
	t.Cleanup(func() { _ = s.cache.Close() })
	f := s.filler()
	ref := page.User("ansel")
	s.want(ref, time.Time{})
	settled(t, 1, f)
	old, err := s.cache.Get(ref.Key())
	if err != nil {
		t.Fatal(err)
	}
	standard := s.reply
	s.answerWith(func(page.Ref) *wire.Reply {
		return &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now(), Body: make([]byte, 700<<10)}
	})
	const refusals = 5
	for range refusals {
		s.want(ref, time.Now())
	}
	s.want(page.User("dorothea"), time.Now())
	counts := settled(t, 2+refusals, f)
	if n := counts[resultTooLarge] + counts[resultJoined]; counts[resultTooLarge] < 2 || n != 1+refusals {
		t.Errorf("%d too large, %d joined to them: want %d together, counts %v", counts[resultTooLarge],
			counts[resultJoined], 1+refusals, counts)
	}
	if item, err := s.cache.Get(ref.Key()); err != nil || !bytes.Equal(item.Value, old.Value) {
		t.Errorf("the old value is gone: %v", err)
	}
	s.answerWith(standard)
	s.want(ref, time.Now())
	settled(t, 3+refusals, f)
	if item, err := s.cache.Get(ref.Key()); err != nil || bytes.Equal(item.Value, old.Value) {
		t.Errorf("the next copy is not stored: %v", err)
	}
}

func TestPrivateIsNotKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.filler()
	s.answerWith(func(page.Ref) *wire.Reply { return &wire.Reply{Status: 200, ReadAt: time.Now()} })
	s.want(page.User("ansel"), time.Now())
	if counts := settled(t, 1, f); counts[resultPrivate] != 1 {
		t.Errorf("counts %v", counts)
	}
	if _, err := s.cache.Get("page.user.ansel"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Errorf("got %v", err)
	}
}

func TestBadNotes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.filler()
	for _, subject := range []string{"fill.page.user.ANSEL", "fill.secrets", "fill.fill.page.home"} {
		if err := s.nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if counts := settled(t, 3, f); counts[resultRefused] != 3 {
		t.Errorf("counts %v", counts)
	}
}

func TestMicroStatistics(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.filler()
	s.want(page.User("ansel"), time.Time{})
	settled(t, 1, f)
	reply, err := s.nc.RequestWithContext(t.Context(), "$SRV.STATS.cachefill", nil)
	if err != nil {
		t.Fatal(err)
	}
	var stats micro.Stats
	if err := json.Unmarshal(reply.Data, &stats); err != nil {
		t.Fatal(err)
	}
	var own struct {
		Filled int64   `json:"filled"`
		P99    float64 `json:"p99_ms"`
	}
	if err := json.Unmarshal(stats.Endpoints[0].Data, &own); err != nil {
		t.Fatal(err)
	}
	if stats.Version != "1.2.3" || stats.Endpoints[0].QueueGroup != wire.QueueCachefill || own.Filled != 1 ||
		own.P99 <= 0 {
		t.Errorf("%s", reply.Data)
	}
}

// TestAnswersOnlyInboxes: nobody can have a cachefill publish to a stream, by a reply subject.
func TestAnswersOnlyInboxes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.filler()
	published, err := s.nc.SubscribeSync("changed.>")
	if err != nil {
		t.Fatal(err)
	}
	operator := testenv.ConnectAs(t, s.url, wire.RoleOperator)
	subjects := []string{"fill.nonsense", "fill.page.home", "$SRV.PING", "$SRV.STATS.cachefill"}
	for _, subject := range subjects {
		if err := operator.PublishRequest(subject, "changed.tick", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range subjects { // each subscription is answered in order, so what came before is done
		if _, err := operator.RequestWithContext(t.Context(), subject, nil); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := published.Pending(); err != nil || n != 0 {
		t.Errorf("it published %d messages to changed.tick, %v", n, err)
	}
}

func TestNeedsServers(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATS(t))
	for _, cfg := range []Config{{}, {NATS: nc}, {NATS: nc, Memcached: []string{"nonsense"}}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg.Memcached)
		}
	}
}

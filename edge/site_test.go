package edge

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"flickrkillr/cachefill"
	"flickrkillr/edge/freshness"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/ops/testenv/authority"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// TestMain ignores goroutines that the NATS server in this process sometimes leaks: when two edges start, both create
// the same bucket; the server opens a store for each, refuses one, and does not close its store. It also ignores those
// of the CA of TestACME, which cannot be stopped.
func TestMain(m *testing.M) {
	playsPartOfFlood()
	const server = "github.com/nats-io/nats-server/v2/server"
	testenv.Main(m, goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(server+"/ats.Register.func1"),
		authority.IgnoreLeaks())
}

const heartbeatEvery = 100 * time.Millisecond

// site has a simulated relay and simulated renderers, so that a test decides what changes and when. NATS, memcached,
// the cachefills and the edges are real.
type site struct {
	t       testing.TB
	server  *stack.NATS
	nc      *nats.Conn
	js      jetstream.JetStream
	renders atomic.Int64 // pages rendered; error pages and assets do not count
	pings   atomic.Int64 // answered
	mute    atomic.Bool  // the relay sends no heartbeats
	old     atomic.Bool  // renderers are of a release that compresses nothing
	gzip    wire.Gzip
	ahead   time.Duration // cluster time less the clock of edges

	mu       sync.Mutex
	versions map[string]int64                      // by scope
	reply    func(*nats.Msg, page.Ref) *wire.Reply // nil: the default
}

func newSite(t testing.TB) *site { return newSiteAhead(t, 0) }

// newSiteAhead is newSite with edges whose clock is wrong.
func newSiteAhead(t testing.TB, ahead time.Duration) *site {
	s := &site{t: t, server: testenv.NATSServer(t), versions: map[string]int64{}, ahead: ahead}
	s.nc = testenv.Connect(t, s.server.URL())
	var err error
	if s.js, err = jetstream.New(s.nc); err != nil {
		t.Fatal(err)
	}
	s.makeStream()
	s.background(func(ctx context.Context) {
		for sleep.For(ctx, heartbeatEvery) {
			if !s.mute.Load() {
				_ = s.nc.Publish(wire.SubjectHeartbeat, wire.Heartbeat{Time: s.now()}.Encode())
			}
		}
	})
	return s
}

// signIn connects to the bus as an edge.
func (s *site) signIn() *nats.Conn {
	s.t.Helper()
	return testenv.ConnectAs(s.t, s.server.URL(), wire.RoleEdge)
}

// now is cluster time.
func (s *site) now() time.Time { return time.Now().Add(s.ahead) }

// log writes to the output of the test.
func (s *site) log() *slog.Logger { return slog.New(slog.NewTextHandler(s.t.Output(), nil)) }

func (s *site) makeStream() {
	s.t.Helper()
	if _, err := s.js.CreateStream(s.t.Context(), wire.ChangesConfig()); err != nil {
		s.t.Fatal(err)
	}
}

// background runs f until the test ends and waits for its end.
func (s *site) background(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	s.t.Cleanup(func() { cancel(); wg.Wait() })
}

// renderer starts a renderer; stop stops it.
func (s *site) renderer() (stop func()) {
	s.t.Helper()
	nc := testenv.Connect(s.t, s.server.URL())
	var subs []*nats.Subscription
	for _, subject := range []string{"page.>", "picture.>", "asset.>"} {
		sub, err := nc.QueueSubscribe(subject, wire.QueueRenderer, func(m *nats.Msg) { go s.render(nc, m) })
		if err != nil {
			s.t.Fatal(err)
		}
		subs = append(subs, sub)
	}
	sub, err := nc.Subscribe(pingSubject, func(m *nats.Msg) {
		s.pings.Add(1)
		_ = m.Respond(nil)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	subs = append(subs, sub)
	if err := nc.Flush(); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe()
		}
		_ = nc.Flush()
	}
}

func (s *site) render(nc *nats.Conn, m *nats.Msg) {
	if m.Subject == wire.SubjectAssets {
		_ = m.Respond([]byte("asset.app.0123abcd.css\n"))
		return
	}
	ref, err := page.ParseSubject(m.Subject)
	if err != nil {
		_ = nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBadRequest))
		return
	}
	if ref.Kind() != page.KindError && ref.Kind() != page.KindAsset {
		s.renders.Add(1)
	}
	s.mu.Lock()
	custom := s.reply
	s.mu.Unlock()
	reply := s.standard(ref)
	if custom != nil {
		if reply = custom(m, ref); reply == nil {
			return
		}
	}
	if m.Header.Get(wire.HeaderAccept) == wire.EncodingGzip && !s.old.Load() {
		s.compress(reply)
	}
	reply.Key = ref.Key()
	msg := nats.NewMsg(m.Reply)
	msg.Data = reply.Encode()
	msg.Header.Set(wire.HeaderTiming, wire.Timing{SQL: time.Millisecond}.String())
	_ = nc.PublishMsg(msg)
}

// compress compresses the body of a reply with gzip, if it is compressible.
func (s *site) compress(r *wire.Reply) {
	if r.Compressible() {
		var b bytes.Buffer
		s.gzip.Pack(&b, r.Body)
		r.Encoding, r.Body = wire.EncodingGzip, b.Bytes()
	}
}

// standard is what renderers reply for a page: its body shows the version of its scope.
func (s *site) standard(ref page.Ref) *wire.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &wire.Reply{
		Status: 200, ContentType: "text/html; charset=utf-8", ReadAt: s.now(), MaxAge: wire.PageAge,
		Depends: []wire.Dep{{Scope: wire.ScopeAll, Version: s.versions[wire.ScopeAll]}},
	}
	switch ref.Kind() {
	case page.KindUser:
		scope := "user." + ref.Name()
		r.Depends = append(r.Depends, wire.Dep{Scope: scope, Version: s.versions[scope]})
		r.Body = fmt.Appendf(nil, "<h1>%s</h1><p>version %d</p>%s",
			ref.Name(), s.versions[scope], strings.Repeat("<p>a photo</p>", 200))
	case page.KindError:
		r.Status = ref.Status()
		r.Body = fmt.Appendf(nil, "<h1>error %d</h1>", ref.Status())
	case page.KindAsset:
		r.ContentType, r.Immutable, r.MaxAge = "text/css", true, wire.FixedAge
		r.Body = []byte("body{} /* " + ref.Encoding() + " */")
		switch ref.Encoding() {
		case "br": // not really, so that a test can read it
			r.Encoding = "br"
		case "gz":
			var b bytes.Buffer
			s.gzip.Pack(&b, r.Body)
			r.Encoding, r.Body = wire.EncodingGzip, b.Bytes()
		}
	case page.KindImage:
		const owner = "user.ansel"
		r.Depends = append(r.Depends, wire.Dep{Scope: owner, Version: s.versions[owner]})
		r.ContentType, r.Immutable = "image/jpeg", true
		r.Body = []byte(strings.Repeat("\xff\xd8", ref.Width()*200))
	default:
		r.Body = []byte("<h1>" + ref.Subject() + "</h1>")
	}
	r.ETag = fmt.Sprintf("%x", len(r.Body)*31+int(s.versions["user."+ref.Name()]))
	return r
}

// answerWith replaces the standard replies by those of f. If f returns nil, the renderer sends no reply.
func (s *site) answerWith(f func(*nats.Msg, page.Ref) *wire.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = f
}

// blockUsers makes renderers wait, before they reply with a user's page, until release is closed.
func (s *site) blockUsers() (release chan<- struct{}) {
	released := make(chan struct{})
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			<-released
		}
		return s.standard(ref)
	})
	return released
}

// change sets the version of a scope and publishes the change.
func (s *site) change(scope string, version int64, gone bool) {
	s.t.Helper()
	s.mu.Lock()
	s.versions[scope] = version
	s.mu.Unlock()
	s.publishChange(scope, version, gone, nil)
}

// publishChange publishes a change in the stream.
func (s *site) publishChange(scope string, version int64, gone bool, header nats.Header) {
	s.t.Helper()
	batch := wire.EncodeChanges([]wire.Change{{Scope: scope, Version: version, Gone: gone}})
	// Right after a restart of the server publishing may fail. A change may be in the stream twice.
	eventually(s.t, "the stream has stored the change", func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		_, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: wire.SubjectBatch, Data: batch, Header: header})
		return err == nil
	})
}

// edge starts an edge and returns when it is ready and its cached pages count as fresh.
func (s *site) edge(change ...func(*Config)) *Server {
	s.t.Helper()
	e := s.start(change...)
	eventually(s.t, "the edge is ready and its cached pages count as fresh", func() bool {
		return e.Ready() == nil && trustsPages(e)
	})
	return e
}

// trustsPages reports whether pages that the edge fetches from now on count as fresh.
func trustsPages(e *Server) bool {
	t := e.pages.tracker
	return !t.FeedStale() && t.Clock().Now().After(t.InvalidBefore().Add(freshness.ClockSlip))
}

// start starts an edge and does not wait.
func (s *site) start(change ...func(*Config)) *Server {
	s.t.Helper()
	cfg := Config{Addr: "127.0.0.1:0", NATS: s.signIn(), Logger: s.log()}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.background(func(ctx context.Context) {
		if err := e.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	return e
}

// cachefill starts a cachefill and returns when it is ready.
func (s *site) cachefill(memcached ...string) {
	s.t.Helper()
	s.startCachefill(cachefill.Config{Memcached: memcached})
}

// fill starts a cachefill with a long timeout, so that it loses no note on a busy machine.
func (s *site) fill(cfg cachefill.Config) {
	s.t.Helper()
	cfg.Timeout = 10 * time.Second
	s.startCachefill(cfg)
}

func (s *site) startCachefill(cfg cachefill.Config) {
	s.t.Helper()
	cfg.NATS, cfg.Logger = testenv.ConnectAs(s.t, s.server.URL(), wire.RoleCachefill), s.log()
	f, err := cachefill.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.background(func(ctx context.Context) {
		if err := f.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	eventually(s.t, "the cachefill is ready", func() bool { return f.Ready() == nil })
}

// withMemcached has an edge use these servers.
func withMemcached(addrs ...string) func(*Config) { return func(c *Config) { c.Memcached = addrs } }

// knows waits until an edge knows a version of a scope.
func knows(t testing.TB, e *Server, scope string, version int64) {
	t.Helper()
	eventually(t, "the edge knows of the change", func() bool {
		return e.pages.tracker.Scope(scope).Newest() == version
	})
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Within(t, time.Minute, what, ok)
}

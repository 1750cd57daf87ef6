package renderer

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// ask sends a request without waiting for its answer, which arrives in the channel.
func (st *site) ask(t testing.TB, subject string, header nats.Header) <-chan *nats.Msg {
	t.Helper()
	return st.askWith(t, &nats.Msg{Subject: subject, Header: header})
}

// askWith is ask for a message, whose reply subject it sets.
func (st *site) askWith(t testing.TB, msg *nats.Msg) <-chan *nats.Msg {
	t.Helper()
	answer := make(chan *nats.Msg, 1)
	inbox := edgeInbox()
	sub, err := st.nc.Subscribe(inbox, func(m *nats.Msg) { answer <- m })
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.AutoUnsubscribe(1); err != nil {
		t.Fatal(err)
	}
	msg.Reply = inbox
	if err := st.nc.PublishMsg(msg); err != nil {
		t.Fatal(err)
	}
	return answer
}

func receive(t testing.TB, answer <-chan *nats.Msg) *nats.Msg {
	t.Helper()
	select {
	case m := <-answer:
		return m
	case <-time.After(15 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

// stall keeps every query of users waiting until release is called.
func (st *site) stall(t testing.TB) (release func()) {
	t.Helper()
	tx, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var released bool
	release = func() {
		if released {
			return
		}
		released = true
		if err := tx.Rollback(t.Context()); err != nil && err != pgx.ErrTxClosed {
			t.Error(err)
		}
	}
	return release
}

// load waits until an endpoint has so many requests in flight and queued.
func load(t testing.TB, s *running, kind page.Kind, inFlight, queued int) {
	t.Helper()
	loadOf(t, s, kind.String(), inFlight, queued)
}

func loadOf(t testing.TB, s *running, name string, inFlight, queued int) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		r := totalOf(s, name)
		if r.InFlight != inFlight || r.Queued != queued {
			return fmt.Errorf("%s has %d in flight and %d queued, want %d and %d", name, r.InFlight, r.Queued,
				inFlight, queued)
		}
		return nil
	})
}

// settled waits until all that was answered is in the statistics: a reply is sent before it is counted.
func settled(t testing.TB, s *running) {
	t.Helper()
	for _, e := range s.endpoints {
		loadOf(t, s, e.name, 0, 0)
	}
}

// total gives the report of a kind's first endpoint.
func total(s *running, kind page.Kind) report { return totalOf(s, kind.String()) }

func totalOf(s *running, name string) report {
	for _, e := range s.endpoints {
		if e.name == name {
			return e.stats.report(time.Now())
		}
	}
	return report{}
}

func small(c *Config) { c.PageWorkers, c.QueueFactor, c.ReadTimeout = 1, 2, 20*time.Second }

func TestBusyWhenFull(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, small)
	release := st.stall(t)
	defer release()
	answers := make(chan *nats.Msg, 4)
	ask := func(n int64) {
		t.Helper()
		answer := st.ask(t, page.Photo(n).Subject(), nats.Header{wire.HeaderRequest: {"r"}})
		go func() { answers <- <-answer }()
	}
	ask(1)
	load(t, s, page.KindPhoto, 1, 0)
	ask(2)
	ask(3)
	load(t, s, page.KindPhoto, 1, 2)
	ask(4)

	// The newcomer, or the one that waits longest if all this has taken long enough to be an overload: one of them is
	// turned away at once.
	excess := receive(t, answers)
	if err := wire.ErrorOf(excess); wire.Code(err) != "busy" {
		t.Errorf("one request too many got %v, want busy", err)
	}
	if excess.Header.Get(wire.HeaderRequest) != "r" || excess.Header.Get(wire.HeaderWorker) != s.id {
		t.Errorf("headers %v", excess.Header)
	}
	// Without a key of this site it is known not to be there, whatever Postgres does.
	if reply := st.get(t, page.Image(st.image.ID, 320)); reply.Status != 404 {
		t.Errorf("pictures wait for pages: status %d", reply.Status)
	}
	release()
	for range 3 {
		if err := wire.ErrorOf(receive(t, answers)); err != nil {
			t.Errorf("a request that there was room for: %v", err)
		}
	}
	settled(t, s)
	if n := s.pages.figures().Busy; n != 1 {
		t.Errorf("the pool says that it refused %d requests, want 1", n)
	}
	if r := total(s, page.KindPhoto); r.Errors["busy"] != 1 || r.Requests != 4 || r.Queued != 0 || r.InFlight != 0 {
		t.Errorf("statistics: %+v", r)
	}
}

// While parts of the sitemap wait for Postgres, the only page worker answers pages. Of the parts one is made at a time,
// two wait, more are turned away.
func TestPagesDoNotWaitForTheSitemap(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, small)
	tx, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // also after the one below
	if _, err := tx.Exec(t.Context(), `LOCK TABLE albums IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	answers := make(chan *nats.Msg, 4)
	for part := range int64(4) {
		answer := st.ask(t, page.SitemapPart("albums", part+1).Subject(), nil)
		go func() { answers <- <-answer }()
		load(t, s, page.KindSitemap, 1, int(min(part, 2)))
	}
	if err := wire.ErrorOf(receive(t, answers)); wire.Code(err) != "busy" {
		t.Errorf("one part too many got %v, want busy", err)
	}
	for _, ref := range []page.Ref{page.About(), page.Tag("blue hour")} {
		if reply := st.get(t, ref); reply.Status != 200 {
			t.Errorf("%s: status %d", ref, reply.Status)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := wire.ErrorOf(receive(t, answers)); err != nil {
			t.Errorf("a part that there was room for: %v", err)
		}
	}
}

func TestExpiredIsDropped(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, small)
	in := func(d time.Duration) nats.Header {
		return nats.Header{wire.HeaderDeadline: {wire.FormatTime(time.Now().Add(d))}}
	}
	if err := wire.ErrorOf(receive(t, st.ask(t, "page.user.ansel", in(-time.Second)))); wire.Code(err) != "expired" {
		t.Errorf("too late on arrival: %v", err)
	}
	if err := wire.ErrorOf(receive(t, st.ask(t, "page.user.ansel",
		nats.Header{wire.HeaderDeadline: {"soon"}}))); wire.Code(err) != "bad_request" {
		t.Errorf("a deadline that is no time: %v", err)
	}
	release := st.stall(t)
	defer release()
	held := st.ask(t, "page.user.ansel", nil)
	load(t, s, page.KindUser, 1, 0)
	deadline := time.Now().Add(50 * time.Millisecond)
	waiting := st.ask(t, "page.user.dorothea", in(time.Until(deadline)))
	load(t, s, page.KindUser, 1, 1)
	eventually(t, time.Second, func() error {
		if time.Now().Before(deadline) {
			return fmt.Errorf("its deadline is still to come")
		}
		return nil
	})
	release()
	if err := wire.ErrorOf(receive(t, held)); err != nil {
		t.Errorf("in time: %v", err)
	}
	if err := wire.ErrorOf(receive(t, waiting)); wire.Code(err) != "expired" {
		t.Errorf("too late after the queue: %v", err)
	}
}

func TestDeadlinesAreInClusterTime(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	heartbeat := wire.Heartbeat{Time: time.Now().Add(time.Hour)}
	if err := st.nc.Publish(wire.SubjectLiveHeartbeat, heartbeat.Encode()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if s.clock.Offset() < 59*time.Minute {
			return fmt.Errorf("the clock is %s ahead", s.clock.Offset())
		}
		return nil
	})
	for d, want := range map[time.Duration]string{10 * time.Second: "expired", time.Hour + 5*time.Second: ""} {
		header := nats.Header{wire.HeaderDeadline: {wire.FormatTime(time.Now().Add(d))}}
		err := wire.ErrorOf(receive(t, st.ask(t, "page.about", header)))
		if got := wire.Code(err); err != nil && got != want || err == nil && want != "" {
			t.Errorf("a deadline in %s of this machine's time: %v, want %q", d, err, want)
		}
	}
}

func TestPanicsAreContained(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.service(t, nil)
	s.maker.site.Assets = nil // every HTML view panics on it, and the feed does not need it
	run(t, s)
	for range 3 * s.cfg.PageWorkers {
		if err := wire.ErrorOf(st.request(t, "page.user.ansel")); wire.Code(err) != "internal" {
			t.Fatalf("a page that panics: %v", err)
		}
	}
	if reply := st.get(t, page.Feed(page.User("ansel"))); reply.Status != 200 {
		t.Errorf("the next request: status %d", reply.Status)
	}
	if got := counted(t, s.metrics.panics); got != float64(3*s.cfg.PageWorkers) {
		t.Errorf("counted %g panics, want %d", got, 3*s.cfg.PageWorkers)
	}
	if r := total(&running{Service: s}, page.KindUser); r.Errors["internal"] != 3*s.cfg.PageWorkers || r.InFlight != 0 {
		t.Errorf("statistics: %+v", r)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	j := &job{request: request{ref: page.About(), subject: "page.about", reply: edgeInbox(),
		endpoint: s.endpoints[0], arrived: time.Now()}}
	answer := make(chan *nats.Msg, 1)
	if _, err := st.nc.ChanSubscribe(j.reply, answer); err != nil {
		t.Fatal(err)
	}
	if err := st.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	s.deliver([]*job{j}, &wire.Reply{Status: 200, Body: make([]byte, s.nc.MaxPayload())}, "", wire.Timing{})
	if err := wire.ErrorOf(receive(t, answer)); wire.Code(err) != "too_large" {
		t.Errorf("a page larger than a message: %v", err)
	}
}

func counted(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

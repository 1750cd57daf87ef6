package edge

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// replicated is a site whose renderer reads a replica: what that shows of ansel, and when that is from.
type replicated struct {
	*site
	mu      sync.Mutex
	version int64
	behind  time.Duration
	away    time.Time      // since then there is no primary; zero: there is one
	asked   map[string]int // answers, by source
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	s := &replicated{site: newSite(t), asked: map[string]int{}}
	s.renderer()
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() != page.KindUser {
			return s.standard(ref)
		}
		reply, source := s.answer(m, ref)
		s.sendWith(m, ref, reply, source)
		return nil
	})
	return s
}

// answer is what a renderer with a replica answers.
func (s *replicated) answer(m *nats.Msg, ref page.Ref) (*wire.Reply, string) {
	wants, err := wire.ParseConditions(m.Header)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	primary, replica := s.standard(ref), s.standard(ref)
	if !s.away.IsZero() {
		replica.ReadAt = s.away
	}
	replica.ReadAt = replica.ReadAt.Add(-s.behind)
	shown := &replica.Depends[1]
	replica.Body = []byte(strings.Replace(string(replica.Body), "version "+itoa(shown.Version)+"<",
		"version "+itoa(s.version)+"<", 1))
	shown.Version = s.version
	reply, source := primary, wire.SourcePrimary
	if !s.away.IsZero() || wants.Met(replica.ReadAt, replica.Depends) && s.behind <= time.Second {
		reply, source = replica, wire.SourceReplica
	}
	s.asked[source]++
	return reply, source
}

func (s *replicated) sendWith(m *nats.Msg, ref page.Ref, reply *wire.Reply, source string) {
	reply.Key = ref.Key()
	msg := nats.NewMsg(m.Reply)
	msg.Data = reply.Encode()
	msg.Header.Set(wire.HeaderSource, source)
	if err := s.nc.PublishMsg(msg); err != nil {
		s.t.Error(err)
	}
}

// set sets what the replica shows, and returns how often the primary was asked since the last set.
func (s *replicated) set(version int64, behind time.Duration, away bool) (primary int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	primary = s.asked[wire.SourcePrimary]
	s.version, s.behind, s.away = version, behind, time.Time{}
	if away {
		s.away = s.now()
	}
	clear(s.asked)
	return primary
}

// An edge that knows of a change does not answer with a page of a replica that lacks it.
func TestReplicaLacksAChange(t *testing.T) {
	t.Parallel()
	s := newReplicated(t)
	e := s.edge(func(c *Config) { c.MemoryBytes = -1 })
	s.change("user.ansel", 1, false)
	knows(t, e, "user.ansel", 1)
	s.set(1, 0, false)
	if got := get(t, e, "/photos/ansel"); got.status != 200 || !strings.Contains(got.body, "version 1<") {
		t.Errorf("before the change: status %d: %.60s", got.status, got.body)
	}
	s.change("user.ansel", 2, false)
	knows(t, e, "user.ansel", 2)
	if n := s.set(1, 0, false); n != 0 {
		t.Errorf("%d answers of the primary without a reason", n)
	}
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" || !strings.Contains(got.body, "version 2<") {
		t.Errorf("after the change: from %s: %.60s", got.tier(), got.body)
	}
	if n := s.set(2, 0, false); n != 1 {
		t.Errorf("%d answers of the primary after the change", n)
	}
	// Without a primary the page of the replica is shown, marked as stale; not if something on it is gone.
	s.set(1, 2*time.Second, true)
	if got := get(t, e, "/photos/ansel"); got.tier() != "stale" || !strings.Contains(got.body, "version 1<") {
		t.Errorf("without a primary: from %s: %.60s", got.tier(), got.body)
	}
	s.change("user.ansel", 3, true)
	knows(t, e, "user.ansel", 3)
	if got := get(t, e, "/photos/ansel"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("without a primary, what is gone: status %d, from %s: %.60s", got.status, got.tier(), got.body)
	}
}

// What a replica has shown does not go back, although the primary does not show it yet: its commit waits for another
// standby.
func TestPrimaryLacksWhatAReplicaShowed(t *testing.T) {
	t.Parallel()
	s := newReplicated(t)
	e := s.edge(func(c *Config) { c.MemoryBytes = -1 })
	s.set(1, 0, false)
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" || !strings.Contains(got.body, "version 1<") {
		t.Errorf("of the replica: from %s: %.60s", got.tier(), got.body)
	}
	s.set(1, 2*time.Second, false) // now it is too far behind
	if got := get(t, e, "/photos/ansel"); got.tier() != "stale" || !strings.Contains(got.body, "version 0<") {
		t.Errorf("of the primary, before it shows the change: from %s: %.60s", got.tier(), got.body)
	}
	s.mu.Lock()
	s.versions["user.ansel"] = 1
	s.mu.Unlock()
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" || !strings.Contains(got.body, "version 1<") {
		t.Errorf("of the primary, when it shows the change: from %s: %.60s", got.tier(), got.body)
	}
}

// An edge that hears no heartbeat takes no page of a replica that is older than a second, nor does one that does for
// what no scope tells of.
func TestReplicaIsOld(t *testing.T) {
	t.Parallel()
	s := newReplicated(t)
	e := s.edge(func(c *Config) { c.MemoryBytes = -1 })
	s.set(0, 5*time.Second, true) // the renderer has lost the primary, and heartbeats go on
	if got := get(t, e, "/photos/ansel"); got.tier() != "stale" {
		t.Errorf("5 s old: from %s", got.tier())
	}
	s.set(0, 900*time.Millisecond, false)
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" {
		t.Errorf("0.9 s old: from %s", got.tier())
	}
	if n := s.set(0, 0, false); n != 0 {
		t.Errorf("0.9 s old: the primary was asked %d times", n)
	}
	s.mute.Store(true)
	eventually(t, "the feed is stale", e.pages.tracker.FeedStale)
	s.set(0, 1900*time.Millisecond, true)
	if got := get(t, e, "/photos/ansel"); got.tier() != "stale" {
		t.Errorf("without heartbeats, more than 1 s old: from %s", got.tier())
	}
	s.set(0, 100*time.Millisecond, false)
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" {
		t.Errorf("without heartbeats, 0.1 s old: from %s", got.tier())
	}
}

package edge

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/cachefill"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestClockAnHourOff: an edge whose clock is an hour behind or ahead sends deadlines that renderers understand, keeps
// pages and fills memcached, shows changes, and takes tokens for as long as they are valid.
func TestClockAnHourOff(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"behind": time.Hour, "ahead": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSiteAhead(t, ahead)
			s.renderer()
			var deadline atomic.Pointer[string]
			s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
				if ref.Kind() == page.KindUser && m.Header.Get(wire.HeaderRequest) != "" { // not for a cachefill
					text := m.Header.Get(wire.HeaderDeadline)
					deadline.Store(&text)
					if at, ok := wire.ParseTime(text); ok && at.Before(s.now()) {
						_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrExpired)) // as a renderer does
						return nil
					}
				}
				return s.standard(ref)
			})
			s.mute.Store(true)
			early := s.start() // no heartbeat has told it the time
			if got := get(t, early, "/photos/ansel"); got.status != 200 {
				t.Errorf("before the first heartbeat: status %d, deadline %q", got.status, *deadline.Load())
			}
			s.mute.Store(false)

			addr := testenv.Memcached(t)
			s.fill(cachefill.Config{Memcached: []string{addr}})
			e := s.edge(withMemcached(addr))
			get(t, e, "/photos/ansel")
			if at, ok := wire.ParseTime(*deadline.Load()); !ok || at.Sub(s.now()) > wire.PageDeadline ||
				at.Before(s.now()) {
				t.Errorf("the deadline is %v from now", at.Sub(s.now()))
			}
			if got := get(t, e, "/photos/ansel"); got.tier() != "near" {
				t.Errorf("again, from %s", got.tier())
			}
			key := s.signingKey(e)
			token := func(version int64, left time.Duration) string {
				changes := []wire.Change{{Scope: "user.ansel", Version: version}}
				return wire.FreshCookie + "=" + key.Sign(changes, s.now().Add(left))
			}
			if got := get(t, e, "/photos/ansel", "Cookie", token(7, -time.Second)); got.tier() != "near" {
				t.Errorf("with an expired token, from %s", got.tier())
			}
			s.mu.Lock()
			s.versions["user.ansel"] = 7 // committed, and not published
			s.mu.Unlock()
			got := get(t, e, "/photos/ansel", "Cookie", token(7, wire.FreshAge))
			if got.tier() != "render" || !strings.Contains(got.body, "version 7<") {
				t.Errorf("with a valid token, from %s: %.60s", got.tier(), got.body)
			}
			s.change("user.ansel", 8, false)
			knows(t, e, "user.ansel", 8)
			if got = get(t, e, "/photos/ansel"); !strings.Contains(got.body, "version 8<") {
				t.Errorf("after a change, from %s: %.60s", got.tier(), got.body)
			}
			cache := memcache.New(addr)
			cache.Timeout = 10 * time.Second
			t.Cleanup(func() { _ = cache.Close() })
			eventually(t, "memcached has the page", func() bool {
				get(t, e, "/photos/ansel")
				item, err := cache.Get(page.User("ansel").Key())
				if err != nil {
					return false
				}
				reply, err := wire.DecodeReply(page.User("ansel").Key(), item.Value)
				return err == nil && reply.Shows([]wire.Dep{{Scope: "user.ansel", Version: 8}})
			})
		})
	}
}

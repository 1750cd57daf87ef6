package edge

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// TestToken: a client with a read-your-writes token sees its own change through any edge, before the edge knows of it.
// An invalid token changes nothing.
func TestToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	edges := []*Server{s.edge(), s.edge()}
	key := s.signingKey(edges...)
	cookie := func(k wire.FreshKey, version int64, until time.Time) string {
		token := k.Sign([]wire.Change{{Scope: "user.ansel", Version: version}}, until)
		return "theme=dark; " + wire.FreshCookie + "=" + token + "; last=1"
	}
	for _, e := range edges {
		get(t, e, "/photos/ansel")
	}
	s.mu.Lock()
	s.versions["user.ansel"] = 7 // committed, and not published
	s.mu.Unlock()
	later := time.Now().Add(wire.FreshAge)
	for name, value := range map[string]string{
		"another key": cookie(make(wire.FreshKey, wire.FreshKeySize), 7, later),
		"expired":     cookie(key, 7, time.Now().Add(-time.Second)),
		"changed":     strings.Replace(cookie(key, 7, later), wire.FreshCookie+"=", wire.FreshCookie+"=M", 1),
		"nonsense":    wire.FreshCookie + "=....",
		"empty":       wire.FreshCookie + "=",
		"huge":        wire.FreshCookie + "=" + strings.Repeat("x", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			if got := get(t, edges[0], "/photos/ansel", "Cookie", value); got.tier() != "near" {
				t.Errorf("the edge believes an invalid token: from %s", got.tier())
			}
		})
	}
	for i, e := range edges {
		got := get(t, e, "/photos/ansel", "Cookie", cookie(key, 7, later))
		if got.tier() != "render" || !strings.Contains(got.body, "version 7<") {
			t.Errorf("edge %d, the writer, from %s: %.60s", i, got.tier(), got.body)
		}
		if got := get(t, e, "/photos/ansel"); got.tier() != "near" || !strings.Contains(got.body, "version 7<") {
			t.Errorf("edge %d, another client, from %s: %.60s", i, got.tier(), got.body)
		}
	}
}

// keyless starts an edge that cannot get the signing key, and returns when its cached pages count as fresh.
func (s *site) keyless(change ...func(*Config)) *Server {
	s.t.Helper()
	bucket, err := s.js.CreateOrUpdateKeyValue(s.t.Context(), wire.KeysConfig())
	if err == nil {
		_, err = bucket.Put(s.t.Context(), wire.FreshKeyID, []byte("short"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	e := s.start(change...)
	eventually(s.t, "cached pages count as fresh", func() bool { return trustsPages(e) })
	return e
}

// unverifiedToken is a cookie with a token for ansel's pages that an edge without the key cannot verify.
func unverifiedToken(version int64) string {
	changes := []wire.Change{{Scope: "user.ansel", Version: version}}
	return wire.FreshCookie + "=" + wire.FreshKey("unknown").Sign(changes, time.Now().Add(wire.FreshAge))
}

// TestTokenWithoutKey: an edge without the key serves the sender of a token no page older than the token says, except
// as a stale one. Other requests are not affected.
func TestTokenWithoutKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	e := s.keyless()
	e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge: renders are counted
	get(t, e, "/photos/ansel")
	s.mu.Lock()
	s.versions["user.ansel"] = 7 // committed, and not published
	s.mu.Unlock()
	scope := e.pages.tracker.Scope("user.ansel")
	for name, value := range map[string]string{
		"none": "theme=dark", "nonsense": wire.FreshCookie + "=x", "an old one": unverifiedToken(0),
	} {
		t.Run(name, func(t *testing.T) {
			if got := get(t, e, "/photos/ansel", "Cookie", value); got.tier() != "near" || scope.Newest() != 0 {
				t.Errorf("from %s; the newest version is %d, want 0", got.tier(), scope.Newest())
			}
		})
	}
	got := get(t, e, "/photos/ansel", "Cookie", "theme=dark", "Cookie", unverifiedToken(7))
	if got.tier() != "render" || !strings.Contains(got.body, "version 7<") {
		t.Errorf("the writer, from %s: %.60s", got.tier(), got.body)
	}
	got = get(t, e, "/photos/ansel", "Cookie", unverifiedToken(7))
	if got.tier() != "near" || !strings.Contains(got.body, "version 7<") {
		t.Errorf("the writer again, from %s: %.60s", got.tier(), got.body)
	}
	before := s.renders.Load()
	got = get(t, e, "/photos/ansel", "Cookie", unverifiedToken(1<<62))
	if got.tier() != "render" || s.renders.Load() != before+1 || scope.Newest() != 7 {
		t.Errorf("a version that does not exist: from %s, %d renders", got.tier(), s.renders.Load()-before)
	}
	stop()
	got = get(t, e, "/photos/ansel", "Cookie", unverifiedToken(8))
	if got.status != http.StatusOK || got.tier() != "stale" {
		t.Errorf("the writer, without renderers: status %d from %s", got.status, got.tier())
	}
	if got := get(t, e, "/photos/ansel"); got.tier() != "near" {
		t.Errorf("another client, without renderers: from %s", got.tier())
	}
}

// TestTokenAndSharedFetch: a writer does not get the result of a shared fetch that began before the write.
func TestTokenAndSharedFetch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.keyless()
	e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	release := make(chan struct{})
	var first sync.Once
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		reply := s.standard(ref)
		first.Do(func() { <-release })
		return reply
	})
	var visitors sync.WaitGroup
	visitors.Go(func() {
		if got := get(t, e, "/photos/ansel"); !strings.Contains(got.body, "version 0<") {
			t.Errorf("the first client: %.60s", got.body)
		}
	})
	eventually(t, "the first client waits", func() bool { return waiting(e) == 1 && s.renders.Load() == 1 })
	s.mu.Lock()
	s.versions["user.ansel"] = 7
	s.mu.Unlock()
	visitors.Go(func() {
		if got := get(t, e, "/photos/ansel", "Cookie", unverifiedToken(7)); !strings.Contains(got.body, "version 7<") {
			t.Errorf("the writer: %.60s", got.body)
		}
	})
	eventually(t, "the writer waits too", func() bool { return waiting(e) == 2 })
	close(release)
	visitors.Wait()
}

// TestTokenAndMemcached: a page from memcached is compared with the client's token too.
func TestTokenAndMemcached(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 1, 1)
	s.popular("/photos/ansel")
	s.shows(page.User("ansel"), "version 0<")
	e := s.keyless(withMemcached(s.addr), func(c *Config) { c.MemoryBytes = -1 })
	lookup := func(version int64) (found, older bool) { // neither if memcached is too slow
		w := want{ref: page.User("ansel"), gzip: true, atLeast: []wire.Dep{{Scope: "user.ansel", Version: version}}}
		got, p := e.pages.lookup(w)
		return got.page != nil, p != nil
	}
	eventually(t, "the page is found", func() bool { found, _ := lookup(0); return found })
	eventually(t, "it is too old", func() bool { _, older := lookup(7); return older })
}

// TestTokenAndManySharedFetches: a writer whose shared fetches all return a page that is too old gets a fetch of its
// own in the end.
func TestTokenAndManySharedFetches(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.keyless()
	get(t, e, "/photos/ansel")
	ref := page.User("ansel")
	old := e.pages.memory.Get(ref)
	ctx, stop := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for range 2 { // so that a fetch is nearly always under way
		crowd.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = e.pages.flights.do(ctx, ref, time.Minute, func(context.Context) (fetched, error) {
					sleep.For(ctx, time.Millisecond)
					return fetched{page: old, tier: tierMemcached}, nil
				})
			}
		})
	}
	for version := int64(7); version < 57; version++ { // the in-process cache always has an older page
		s.mu.Lock()
		s.versions["user.ansel"] = version
		s.mu.Unlock()
		eventually(t, "a fetch is under way", func() bool { return fetching(e) > 0 })
		w := want{ref: ref, number: e.ids.next(), atLeast: []wire.Dep{{Scope: "user.ansel", Version: version}}}
		got, err := e.pages.render(t.Context(), w)
		if err != nil || got.page == nil || got.page == old {
			t.Errorf("%v, from %v", err, got.tier)
		}
	}
	stop()
	crowd.Wait()
}

// signingKey waits until all edges have the same signing key and returns it.
func (s *site) signingKey(edges ...*Server) wire.FreshKey {
	s.t.Helper()
	bucket, err := s.js.KeyValue(s.t.Context(), wire.BucketKeys)
	if err != nil {
		s.t.Fatal(err)
	}
	entry, err := bucket.Get(s.t.Context(), wire.FreshKeyID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range edges {
		eventually(s.t, "the edge has the key", func() bool {
			key := e.tokens.Key()
			return key != nil && string(*key) == string(entry.Value())
		})
	}
	return entry.Value()
}

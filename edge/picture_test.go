package edge

import (
	"net/http"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestPictureGoesWithItsPhoto: an edit of an owner's page leaves the copies of their pictures as they are, near and in
// memcached. A deletion ends them: the edges ask a renderer, and while none answers they show no copy, not even as a
// stale one.
func TestPictureGoesWithItsPhoto(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	servers := testenv.Memcached(t)
	s.cachefill(servers)
	a := s.edge(withMemcached(servers))
	b := s.edge(withMemcached(servers), func(c *Config) { c.MemoryBytes = -1 })
	ref := page.Image("abcdefghijklmnopqrstuvwxyz", 320)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		r.Body = r.Body[:min(len(r.Body), 1000)] // memory takes no large picture
		return r
	})
	for _, want := range []string{"render", "near"} {
		if got := get(t, a, ref.Path()); got.status != 200 || got.tier() != want ||
			got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Fatalf("status %d from %s, want %s: %v", got.status, got.tier(), want, got.header)
		}
	}
	get(t, b, ref.Path())
	get(t, b, ref.Path()) // what is rendered twice within a minute goes to memcached
	client := memcache.New(servers)
	defer client.Close()
	eventually(t, "memcached has the picture", func() bool {
		_, err := client.Get(ref.Key())
		return err == nil
	})

	edges := []*Server{a, b}
	s.change("user.ansel", 2, false)
	for i, tier := range []string{"near", "memcached"} {
		knows(t, edges[i], "user.ansel", 2)
		eventually(t, "the copy of before the edit is an answer", func() bool { // a slow look-up is a miss
			return get(t, edges[i], ref.Path()).tier() == tier
		})
	}

	stop()
	s.change("user.ansel", 3, true)
	for _, e := range edges {
		knows(t, e, "user.ansel", 3)
		if got := get(t, e, ref.Path()); got.status < 500 {
			t.Errorf("without a renderer, after the deletion: status %d from %s", got.status, got.tier())
		}
	}
	s.renderer()
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if ref.Kind() == page.KindImage {
			r.Status, r.Immutable, r.Depends = http.StatusNotFound, false, nil
		}
		return r
	})
	for _, e := range edges {
		if got := get(t, e, ref.Path()); got.status != 404 {
			t.Errorf("after the deletion: status %d from %s", got.status, got.tier())
		}
	}
}

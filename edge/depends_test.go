package edge

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestHiddenLooksUnknown: an answer does not distinguish a photo that was hidden from one that never existed, except
// for a client that has the key.
func TestHiddenLooksUnknown(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		const hidden, never = "photo.7", "photo.8"
		tombstones := map[string]int64{hidden: 1_795_463_000_123, never: 4}
		s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
			r := s.standard(ref)
			if ref.Kind() == page.KindPhoto {
				scope := strings.TrimPrefix(ref.Subject(), "page.")
				r.Status, r.ETag = http.StatusNotFound, "same"
				r.Body = []byte(strings.Repeat("There is nothing at this address.", 20))
				r.Depends = []wire.Dep{{Scope: wire.ScopeAll, Version: 4}, {Scope: scope, Version: tombstones[scope]}}
			}
			return r
		})
		insider := e.tokens.Key().Insider(time.Now().Add(time.Minute))
		expired := e.tokens.Key().Insider(time.Now().Add(-time.Minute))
		writer := e.tokens.Key().Sign([]wire.Change{{Scope: hidden, Version: 1}}, time.Now().Add(time.Minute))
		client := dial(t, e)
		request := func(method, scope string, fields ...string) answer {
			text := rawGet("/"+strings.Replace(scope, ".", "/", 1), fields...)
			client.send(method + strings.TrimPrefix(text, http.MethodGet))
			a := client.receive(method)
			for _, changing := range []string{"Date", "X-Request-Id", "Server-Timing"} {
				a.header.Del(changing)
			}
			return a
		}
		for _, tier := range []string{"render", "near"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				for _, accept := range []string{"gzip", "identity"} {
					for _, value := range []string{"?", expired, writer} {
						fields := []string{"X-Depends: " + value, "Accept-Encoding: " + accept}
						a, b := request(method, hidden, fields...), request(method, never, fields...)
						if a.header.Get("X-Depends") != "all=4 photo.7=?" {
							t.Errorf("X-Depends: %s", a.header.Get("X-Depends"))
						}
						b.header.Set("X-Depends", strings.Replace(b.header.Get("X-Depends"), never, hidden, 1))
						diff := cmp.Diff(a.header, b.header)
						if a.status != 404 || a.status != b.status || a.body != b.body || diff != "" {
							t.Errorf("%s, %s, %s: status %d and %d, %s", tier, method, accept, a.status, b.status, diff)
						}
					}
				}
			}
		}
		for scope, want := range map[string]string{hidden: "all=4 photo.7=1795463000123", never: "all=4 photo.8=4"} {
			if got := request(http.MethodGet, scope, "X-Depends: "+insider).header.Get("X-Depends"); got != want {
				t.Errorf("a client with the key gets X-Depends %s, want %s", got, want)
			}
		}
	})
}

// TestDependsOnRequest: an answer has X-Depends if the request has it, even a 304.
func TestDependsOnRequest(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		s.change("user.ansel", 3, false)
		knows(t, e, "user.ansel", 3)
		first := get(t, e, "/photos/ansel", "X-Depends", "?")
		if got := first.header.Get("X-Depends"); got != "all=0 user.ansel=3" {
			t.Errorf("X-Depends of a rendered page: %q", got)
		}
		again := get(t, e, "/photos/ansel", "X-Depends", "?", "If-None-Match", first.header.Get("Etag"))
		if got := again.header.Get("X-Depends"); again.status != http.StatusNotModified || got != "all=0 user.ansel=3" {
			t.Errorf("not modified: status %d, X-Depends %q", again.status, got)
		}
		if got := get(t, e, "/photos/ansel"); got.header.Get("X-Depends") != "" {
			t.Errorf("X-Depends without a request for it: %q", got.header.Get("X-Depends"))
		}
	})
}

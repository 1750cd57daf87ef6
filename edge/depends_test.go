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

// TestHiddenIsAsIfItNeverWas: nothing in an answer tells a photo that was hidden from one that never was, unless to whoever has the key.
func TestHiddenIsAsIfItNeverWas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	const hidden, never = "photo.7", "photo.8"
	tombstones := map[string]int64{hidden: 1_795_463_000_123, never: 4}
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if ref.Kind() == page.KindPhoto {
			scope := strings.TrimPrefix(ref.Subject(), "page.")
			r.Status, r.ETag, r.Body = http.StatusNotFound, "same", []byte(strings.Repeat("There is nothing at this address.", 20))
			r.Depends = []wire.Dep{{Scope: wire.ScopeAll, Version: 4}, {Scope: scope, Version: tombstones[scope]}}
		}
		return r
	})
	insider := e.tokens.Key().Insider(time.Now().Add(time.Minute))
	expired := e.tokens.Key().Insider(time.Now().Add(-time.Minute))
	writer := e.tokens.Key().Sign([]wire.Dep{{Scope: hidden, Version: 1}}, time.Now().Add(time.Minute))
	client := dial(t, e)
	ask := func(method, scope string, headers ...string) answer {
		text := rawGet("/"+strings.Replace(scope, ".", "/", 1), headers...)
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
				for _, asked := range []string{"?", expired, writer} {
					headers := []string{"X-Depends: " + asked, "Accept-Encoding: " + accept}
					a, b := ask(method, hidden, headers...), ask(method, never, headers...)
					if a.header.Get("X-Depends") != "all=4 photo.7=?" {
						t.Errorf("X-Depends: %s", a.header.Get("X-Depends"))
					}
					b.header.Set("X-Depends", strings.Replace(b.header.Get("X-Depends"), never, hidden, 1))
					if diff := cmp.Diff(a.header, b.header); a.status != 404 || a.status != b.status || a.body != b.body || diff != "" {
						t.Errorf("%s, %s, %s: %d and %d, %s", tier, method, accept, a.status, b.status, diff)
					}
				}
			}
		}
	}
	a, b := ask(http.MethodGet, hidden, "X-Depends: "+insider), ask(http.MethodGet, never, "X-Depends: "+insider)
	if got := a.header.Get("X-Depends") + ", " + b.header.Get("X-Depends"); got != "all=4 photo.7=1795463000123, all=4 photo.8=4" {
		t.Errorf("an insider is told %s", got)
	}
}

package edge

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestTokenSaysWhatIsGone: whoever has hidden a photo sees its picture no more, and whoever has shown many sees each of
// them, through an edge that has heard of neither, at once. An edit leaves the pictures as they are.
func TestTokenSaysWhatIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	picture := page.Image("abcdefghijklmnopqrstuvwxyz", 320)
	shown := func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.versions["user.ansel"] == 7 }
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r, now := s.standard(ref), shown()
		r.Body = r.Body[:min(len(r.Body), 1000)] // memory takes no large picture
		switch {
		case ref.Kind() == page.KindImage && now:
			r.Status, r.Immutable, r.Depends = http.StatusNotFound, false, nil
		case ref.Kind() == page.KindPhoto && !now:
			r.Status = http.StatusNotFound
			scope := strings.TrimPrefix(ref.Subject(), "page.")
			r.Depends = append(r.Depends, wire.Dep{Scope: scope, Version: 1})
		}
		return r
	})
	photos := make([]page.Ref, page.MaxPhotos)
	changes := []wire.Change{{Scope: "user.ansel", Version: 7}}
	for i := range photos {
		photos[i] = page.Photo(int64(1_000_000 + 37*i))
		changes = append(changes, wire.Change{Scope: strings.TrimPrefix(photos[i].Subject(), "page."), Version: 7})
		get(t, e, photos[i].Path())
	}
	get(t, e, picture.Path())
	cookie := func(changes []wire.Change) string {
		return wire.FreshCookie + "=" + s.signingKey(e).Sign(changes, time.Now().Add(wire.FreshAge))
	}
	if got := get(t, e, photos[199].Path(), "Cookie", "theme=dark"); got.status != 404 || got.tier() != "near" {
		t.Fatalf("status %d from %s: there is no copy to be replaced", got.status, got.tier())
	}
	edited := cookie([]wire.Change{{Scope: "user.ansel", Version: 6}})
	if got := get(t, e, picture.Path(), "Cookie", edited); got.tier() != "near" {
		t.Errorf("the picture, after an edit, from %s", got.tier())
	}
	s.mu.Lock()
	s.versions["user.ansel"] = 7 // committed, and not published
	s.mu.Unlock()
	restored := cookie(changes)
	for _, ref := range photos {
		// A stale copy is shown when no renderer has answered for a second, as on a busy machine.
		testenv.Eventually(t, ref.Path()+" is shown again", func() bool {
			got := get(t, e, ref.Path(), "Cookie", restored)
			if got.status != 200 && got.tier() != "stale" {
				t.Errorf("%s, which is shown again: %d from %s", ref.Path(), got.status, got.tier())
			}
			return got.status == 200
		})
	}
	if got := get(t, e, picture.Path(), "Cookie", restored); got.status != 200 || got.tier() != "near" {
		t.Errorf("the picture, before it is gone: %d from %s", got.status, got.tier())
	}
	changes[0].Gone = true
	if got := get(t, e, picture.Path(), "Cookie", cookie(changes[:1])); got.status != 404 {
		t.Errorf("the picture that its visitor has hidden: %d from %s", got.status, got.tier())
	}
}

package edge

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Files at a fixed place are kept by browsers for an hour; an icon travels as it is, and is served from the near cache.
func TestFilesAtAFixedPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		r.ContentType, r.MaxAge, r.Depends, r.Body = "image/x-icon", wire.FileAge, nil, bytes.Repeat([]byte{0}, 5000)
		return r
	})
	s.renderer()
	e := s.edge()
	for _, tier := range []string{"render", "near"} {
		got := get(t, e, "/favicon.ico", "Accept-Encoding", "gzip, br")
		if got.status != http.StatusOK || got.header.Get("Cache-Control") != "public, max-age=3600" || got.header.Get("Content-Encoding") != "" ||
			got.header.Get("X-Cache") != tier || got.header.Get("Content-Type") != "image/x-icon" || len(got.body) != 5000 {
			t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.header)
		}
	}
}

// What a renderer packs although nobody asked for that is unpacked for who cannot use it.
func TestPackedUnasked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text := strings.Repeat("<url>", 200_000)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		r.MaxAge, r.Body = 0, []byte(text)
		s.compress(r)
		return r
	})
	s.renderer()
	e := s.edge()
	for accept, encoding := range map[string]string{"identity": "", "gzip": "gzip"} {
		got := get(t, e, "/sitemap/photos/1.xml", "Accept-Encoding", accept)
		if got.status != http.StatusOK || got.header.Get("Content-Encoding") != encoding || got.header.Get("X-Cache") != "render" || expand(t, got) != text {
			t.Errorf("%s: %d, %d bytes of %q", accept, got.status, len(got.body), got.header.Get("Content-Encoding"))
		}
	}
}

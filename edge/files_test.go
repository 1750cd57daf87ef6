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

// TestFilesAtAFixedPlace: browsers may keep a file at a fixed path for an hour. The edge sends an icon uncompressed,
// from memory.
func TestFilesAtAFixedPlace(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
			r := s.standard(ref)
			r.ContentType, r.MaxAge, r.Depends = "image/x-icon", wire.FileAge, nil
			r.Body = bytes.Repeat([]byte{0}, 5000)
			return r
		})
		s.renderer()
		e := s.edge(onPath)
		for _, tier := range []string{"render", "near"} {
			got := get(t, e, "/favicon.ico", "Accept-Encoding", "gzip, br")
			h := got.header
			if got.status != http.StatusOK || h.Get("Cache-Control") != "public, max-age=3600" ||
				h.Get("Content-Encoding") != "" || got.tier() != tier || h.Get("Content-Type") != "image/x-icon" ||
				len(got.body) != 5000 {
				t.Errorf("status %d, %d bytes, header %v", got.status, len(got.body), got.header)
			}
		}
	})
}

// TestUnrequestedCompression: a reply that is compressed although the edge requested it plain is decompressed for
// clients that do not accept gzip.
func TestUnrequestedCompression(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		text := strings.Repeat("<url>", 200_000)
		s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
			r := s.standard(ref)
			r.MaxAge, r.Body = 0, []byte(text)
			s.compress(r)
			return r
		})
		s.renderer()
		e := s.edge(onPath)
		for accept, encoding := range map[string]string{"identity": "", "gzip": "gzip"} {
			t.Run(accept, func(t *testing.T) {
				got := get(t, e, "/sitemap/photos/1.xml", "Accept-Encoding", accept)
				if got.status != http.StatusOK || got.header.Get("Content-Encoding") != encoding ||
					got.tier() != "render" || expand(t, got) != text {
					t.Errorf("status %d, %d bytes, %q", got.status, len(got.body), got.header.Get("Content-Encoding"))
				}
			})
		}
	})
}

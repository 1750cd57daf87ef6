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

// TestLargePages: a page that is larger than a message of the bus and an item of memcached, until it is compressed,
// reaches every visitor byte for byte, from each cache. One that is too large even then is an error at once, and the
// next page is none.
func TestLargePages(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 0, 1)
	const line = "<p>the same words, again and again</p>\n"
	bodies, packed := map[string]string{}, map[string][]byte{}
	for name, size := range map[string]int{"half": 1 << 19, "one": 1 << 20, "four": 4 << 20} {
		bodies[name] = strings.Repeat(line, size/len(line)+1)[:size]
		var b bytes.Buffer
		s.gzip.Pack(&b, []byte(bodies[name]))
		packed[name] = b.Bytes()
	}
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if ref.Name() == "toolarge" {
			_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrTooLarge))
			return nil
		}
		if body, ok := packed[ref.Name()]; ok { // a renderer does so whether or not the request accepts it
			r.Encoding, r.Body = wire.EncodingGzip, body
		}
		return r
	})
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		e := s.edge(onPath, withMemcached(s.addr))
		for name, body := range bodies {
			encodings := []string{"identity", "gzip", "gzip, br"}
			if name == "four" {
				encodings = encodings[:2] // brotli takes long for it
			}
			for range 2 { // from a renderer, and from the in-process cache, by brotli from the first hit on
				for _, encoding := range encodings {
					got := get(t, e, "/photos/"+name, "Accept-Encoding", encoding)
					if expand(t, got) != body {
						t.Errorf("%s in %s, from %s: another body", name, encoding, got.tier())
					}
				}
			}
			ref := page.User(name)
			eventually(t, name+" is in memcached", func() bool { // after some hits
				get(t, e, "/photos/"+name, "Accept-Encoding", "gzip")
				_, err := s.cache.Get(ref.Key())
				return err == nil
			})
		}
		for range 2 {
			if got := get(t, e, "/photos/toolarge"); got.status != http.StatusInternalServerError {
				t.Errorf("a page that is too large: status %d", got.status)
			}
		}
		if got := get(t, e, "/photos/ansel"); got.status != http.StatusOK {
			t.Errorf("the next page: status %d", got.status)
		}
		cold := s.edge(onPath, withMemcached(s.addr))
		for name, body := range bodies {
			got := get(t, cold, "/photos/"+name)
			if got.tier() != "memcached" && got.tier() != "render" || expand(t, got) != body { // memcached may be slow
				t.Errorf("%s of another edge, from %s: another body", name, got.tier())
			}
		}
	})
}

package edge

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestDelegatedRequests: each request that the handler answers is counted, under its reason.
func TestDelegatedRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if ref.Name() == "nobody" {
			r.Status = http.StatusNotFound
		}
		return r
	})
	const end = " HTTP/1.1\r\nHost: killr\r\n"
	fast, twice := rawGet("/photos/ansel"), []string{"Accept-Encoding: br", "Accept-Encoding: gzip"}
	type reasons map[fastpath.Reason]int
	for name, c := range map[string]struct {
		send []string // on one connection
		want reasons
	}{
		"nothing":           {[]string{fast, fast}, reasons{}},
		"HEAD":              {[]string{"HEAD /" + end + "\r\n", fast}, reasons{fastpath.ReasonHead: 1}},
		"a query":           {[]string{rawGet("/search?q=a")}, reasons{fastpath.ReasonQuery: 1}},
		"an escaped path":   {[]string{rawGet("/tag/d%C3%BCne")}, reasons{fastpath.ReasonPath: 1}},
		"an unknown header": {[]string{rawGet("/", "X-Unheard-Of: 1")}, reasons{fastpath.ReasonUnknownHeader: 1}},
		"a header twice":    {[]string{rawGet("/", twice...)}, reasons{fastpath.ReasonRepeatedHeader: 1}},
		"the last request":  {[]string{fast, rawGet("/", "Connection: close")}, reasons{fastpath.ReasonConnection: 1}},
		"a writer":          {[]string{rawGet("/", "Cookie: fresh=x"), fast}, reasons{fastpath.ReasonCookie: 1}},
		"no page":           {[]string{rawGet("/nowhere")}, reasons{fastpath.ReasonNoPage: 1}},
		"another spelling":  {[]string{rawGet("/photos/Ansel")}, reasons{fastpath.ReasonSpelling: 1}},
		"an error page":     {[]string{rawGet("/photos/nobody"), fast}, reasons{}},
		"a form": {
			[]string{fast, "POST /" + end + "Content-Length: 0\r\n\r\n", fast}, reasons{fastpath.ReasonUnparsed: 2},
		},
		"the first of two reasons": {
			[]string{rawGet("/", "Range: bytes=0-9", "Connection: close")}, reasons{fastpath.ReasonUnknownHeader: 1},
		},
		"two reasons on one connection": {
			[]string{rawGet("/?a=b"), rawGet("/nowhere")}, reasons{fastpath.ReasonQuery: 1, fastpath.ReasonNoPage: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := s.edge()
			get(t, e, "/photos/ansel")
			client := dial(t, e)
			for _, text := range c.send {
				client.send(text)
				method, _, _ := strings.Cut(text, " ")
				client.receive(method)
			}
			if got := delegated(t, e); !maps.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

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

// TestDelegatedRequests: each request that the handler answers is counted under its reason, and no other.
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
	near, twice := rawGet("/photos/ansel"), []string{"Accept-Encoding: br", "Accept-Encoding: gzip"}
	for name, c := range map[string]struct {
		say  []string // on one connection
		want map[fastpath.Reason]int
	}{
		"no request":        {[]string{near, near}, map[fastpath.Reason]int{}},
		"HEAD":              {[]string{"HEAD /" + end + "\r\n", near}, map[fastpath.Reason]int{fastpath.ReasonHead: 1}},
		"a query":           {[]string{rawGet("/search?q=a")}, map[fastpath.Reason]int{fastpath.ReasonQuery: 1}},
		"an escaped path":   {[]string{rawGet("/tag/d%C3%BCne")}, map[fastpath.Reason]int{fastpath.ReasonPath: 1}},
		"an unknown header": {[]string{rawGet("/", "X-Unheard-Of: 1")}, map[fastpath.Reason]int{fastpath.ReasonUnknownHeader: 1}},
		"a header twice":    {[]string{rawGet("/", twice...)}, map[fastpath.Reason]int{fastpath.ReasonRepeatedHeader: 1}},
		"the last request":  {[]string{near, rawGet("/", "Connection: close")}, map[fastpath.Reason]int{fastpath.ReasonConnection: 1}},
		"a writer":          {[]string{rawGet("/", "Cookie: fresh=x"), near}, map[fastpath.Reason]int{fastpath.ReasonCookie: 1}},
		"no page":           {[]string{rawGet("/nowhere")}, map[fastpath.Reason]int{fastpath.ReasonNoPage: 1}},
		"another spelling":  {[]string{rawGet("/photos/Ansel")}, map[fastpath.Reason]int{fastpath.ReasonSpelling: 1}},
		"an error page":     {[]string{rawGet("/photos/nobody"), near}, map[fastpath.Reason]int{}},
		"a form": {
			[]string{near, "POST /" + end + "Content-Length: 0\r\n\r\n", near}, map[fastpath.Reason]int{fastpath.ReasonUnparsed: 2},
		},
		"the first of two reasons": {
			[]string{rawGet("/", "Range: bytes=0-9", "Connection: close")}, map[fastpath.Reason]int{fastpath.ReasonUnknownHeader: 1},
		},
		"two reasons on one connection": {
			[]string{rawGet("/?a=b"), rawGet("/nowhere")}, map[fastpath.Reason]int{fastpath.ReasonQuery: 1, fastpath.ReasonNoPage: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := s.edge()
			get(t, e, "/photos/ansel")
			client := dial(t, e)
			for _, text := range c.say {
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

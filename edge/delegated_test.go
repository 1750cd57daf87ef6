package edge

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// delegated gives the reasons for which e's handler has answered requests, each with their number.
func delegated(t testing.TB, e *Server) map[reason]int {
	t.Helper()
	all := map[reason]int{}
	for why := range reasons {
		if n := int(count(t, e.meters.delegated[why])); n > 0 {
			all[why] = n
		}
	}
	return all
}

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
	near, twice := plainly("/photos/ansel"), []string{"Accept-Encoding: br", "Accept-Encoding: gzip"}
	for name, c := range map[string]struct {
		say  []string // on one connection
		want map[reason]int
	}{
		"the fast path's":   {[]string{near, near}, map[reason]int{}},
		"HEAD":              {[]string{"HEAD /" + end + "\r\n", near}, map[reason]int{reasonHead: 1}},
		"a query":           {[]string{plainly("/search?q=a")}, map[reason]int{reasonQuery: 1}},
		"an escaped path":   {[]string{plainly("/tag/d%C3%BCne")}, map[reason]int{reasonPath: 1}},
		"an unknown header": {[]string{plainly("/", "X-Unheard-Of: 1")}, map[reason]int{reasonUnknownHeader: 1}},
		"a header twice":    {[]string{plainly("/", twice...)}, map[reason]int{reasonRepeatedHeader: 1}},
		"the last request":  {[]string{near, plainly("/", "Connection: close")}, map[reason]int{reasonConnection: 1}},
		"a writer":          {[]string{plainly("/", "Cookie: fresh=x"), near}, map[reason]int{reasonCookie: 1}},
		"no page":           {[]string{plainly("/nowhere")}, map[reason]int{reasonNoPage: 1}},
		"another spelling":  {[]string{plainly("/photos/Ansel")}, map[reason]int{reasonSpelling: 1}},
		"an error page":     {[]string{plainly("/photos/nobody"), near}, map[reason]int{reasonAnswer: 1}},
		"a form": {
			[]string{near, "POST /" + end + "Content-Length: 0\r\n\r\n", near}, map[reason]int{reasonUnparsed: 2},
		},
		"the first of two reasons": {
			[]string{plainly("/", "Range: bytes=0-9", "Connection: close")}, map[reason]int{reasonUnknownHeader: 1},
		},
		"two reasons on one connection": {
			[]string{plainly("/?a=b"), plainly("/nowhere")}, map[reason]int{reasonQuery: 1, reasonNoPage: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := s.edge()
			get(t, e, "/photos/ansel")
			visitor := dial(t, e)
			for _, text := range c.say {
				visitor.say(text)
				method, _, _ := strings.Cut(text, " ")
				visitor.hear(method)
			}
			if got := delegated(t, e); !maps.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

package edge

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestSmuggling: what a proxy may read as one request with a body is never two requests to an edge. Whatever is
// ambiguous is refused, and the connection ends with that, so that nothing behind it is read.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	var smuggled atomic.Int64
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Name() == "smuggled" {
			smuggled.Add(1)
		}
		return s.standard(ref)
	})
	const hidden = "GET /photos/smuggled HTTP/1.1\r\nHost: killr\r\n\r\n"
	post := func(fields ...string) string {
		return "POST / HTTP/1.1\r\nHost: killr\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
	}
	length := fmt.Sprint("Content-Length: ", len(hidden)+5)
	for name, send := range map[string]string{
		"a length and chunks":          post(length, "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden,
		"chunks and a length":          post("Transfer-Encoding: chunked", length) + "0\r\n\r\n" + hidden,
		"a length and chunks of a GET": rawGet("/", length, "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden,
		"two lengths":                  post("Content-Length: 0", length) + hidden,
		"two lengths of a GET":         rawGet("/", "Content-Length: 0", length) + hidden,
		"a list of lengths":            post("Content-Length: 0, 5") + hidden,
		"a length with a sign":         post("Content-Length: +0") + hidden,
		"a negative length":            post("Content-Length: -1") + hidden,
		"a hexadecimal length":         post("Content-Length: 0x0") + hidden,
		"a length of many digits":      post("Content-Length: 18446744073709551616") + hidden,
		"a space before the colon":     post("Content-Length : 0") + hidden,
		"chunks under another name":    post("Transfer-Encoding: xchunked") + "0\r\n\r\n" + hidden,
		"chunks twice":                 post("Transfer-Encoding: chunked, chunked") + "0\r\n\r\n" + hidden,
		"chunks in two fields": post("Transfer-Encoding: chunked", "Transfer-Encoding: x") + "0\r\n\r\n" +
			hidden,
		"identity and chunks":          post("Transfer-Encoding: identity, chunked") + "0\r\n\r\n" + hidden,
		"chunks with a control":        post("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n" + hidden,
		"a folded field":               post("Transfer-Encoding:", " chunked") + "0\r\n\r\n" + hidden,
		"a folded length":              post("Content-Length:", " 5") + hidden,
		"a lone CR in a field":         post("X-A: b\rContent-Length: 5") + hidden,
		"a NUL in a field":             post("X-A: b\x00", "Content-Length: 5") + hidden,
		"a bad chunk size":             post("Transfer-Encoding: chunked") + "0x0\r\n\r\n" + hidden,
		"a bare LF after a chunk size": post("Transfer-Encoding: chunked") + "0\n\n" + hidden,
		"two hosts":                    "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + hidden,
		"no host":                      "POST / HTTP/1.1\r\n\r\n" + hidden,
		"a version of its own":         "POST / HTTP/1.10\r\nHost: killr\r\n\r\n" + hidden,
		"chunks by HTTP/1.0":           "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			onPaths(t, func(t *testing.T, onPath func(*Config)) {
				client := dial(t, s.start(onPath))
				client.send(send)
				client.halfClose()
				first := client.receive(http.MethodPost)
				if first.status < 400 || first.status >= 600 {
					t.Errorf("status %d", first.status)
				}
				if second, err := client.tryReceive(http.MethodGet); err == nil {
					t.Errorf("%d, and then %d: a second answer", first.status, second.status)
				}
			}, fastPath, noFastPath)
		})
	}
	if n := smuggled.Load(); n != 0 {
		t.Errorf("a renderer got %d hidden requests", n)
	}
}

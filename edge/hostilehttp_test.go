package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"flickrkillr/schema/page"
)

// TestHeaderLimits: a header of more than 16 KiB, or a target of more than a page's, is refused, in one piece and in
// many.
func TestHeaderLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		e := s.edge(onPath)
		for name, c := range map[string]struct {
			send   string
			status int
		}{
			"a field of 15 KiB": {rawGet("/", "X-A: "+strings.Repeat("a", 15<<10)), http.StatusOK},
			"a field of 17 KiB": {rawGet("/", "X-A: "+strings.Repeat("a", 17<<10)), 431},
			"2,000 fields": {
				rawGet("/", strings.Fields(strings.Repeat("X-A:bcdefgh ", 2000))...), 431,
			},
			"a name of 17 KiB":     {rawGet("/", strings.Repeat("a", 17<<10)+": b"), 431},
			"a header without end": {"GET / HTTP/1.1\r\n" + strings.Repeat("X-A: bcd\r\n", 4000), 431},
			"a long target":        {rawGet("/" + strings.Repeat("a", page.MaxTarget)), 414},
			"a target of 17 KiB":   {rawGet("/" + strings.Repeat("a", 17<<10)), 431},
			"an endless method":    {strings.Repeat("G", 17<<10), 431},
		} {
			t.Run(name, func(t *testing.T) {
				client := dial(t, e)
				go func() { _, _ = io.WriteString(client.conn, c.send) }() // the edge may stop reading
				if got := client.receive(http.MethodGet); got.status != c.status {
					t.Errorf("status %d, want %d", got.status, c.status)
				}
			})
		}
	})
}

// TestRapidReset: others are served beside a client of HTTP/2 that resets each of its requests at once, and of its
// requests nothing is left.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	release := s.blockUsers()
	defer close(release)
	e := s.edge()
	conn, err := net.Dial("tcp", e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_, _ = io.Copy(io.Discard, conn)
	}()
	defer func() { _ = conn.Close(); <-reading }()
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	frames := http2.NewFramer(conn, nil)
	_, err = io.WriteString(conn, http2.ClientPreface)
	err = errors.Join(err, frames.WriteSettings())
	sent := 0
	for id := uint32(1); err == nil && sent < 4_000; id += 2 {
		head.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "killr"},
			{":path", "/photos/u" + itoa(int64(id))}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		err = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndStream: true,
			EndHeaders: true})
		if err == nil {
			err = frames.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		sent++
	}
	if got := get(t, e, "/about"); got.status != http.StatusOK {
		t.Errorf("another client: status %d", got.status)
	}
	eventually(t, "no fetch is left", func() bool { return fetching(e) == 0 })
	t.Logf("after %d requests (%v): %d renders", sent, err, s.renders.Load())
}

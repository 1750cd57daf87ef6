package fastpath

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestHTTP2Mix: of many requests at once on one connection each gets its own bytes, whichever side answers.
func TestHTTP2Mix(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			draw := rand.New(rand.NewPCG(1, uint64(n)))
			for range 60 {
				size := draw.IntN(40_000)
				kind := [...]string{"near", "near", "far"}[draw.IntN(3)]
				if draw.IntN(10) == 0 {
					size *= 12
				}
				resp, err := transport.RoundTrip(request(t, fmt.Sprintf("http://%s/%s/%d", s.addr, kind, size)))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != 200 || err != nil || !bytes.Equal(body, pattern(size)) ||
					resp.Header.Get("Content-Type") != "text/html" || resp.ProtoMajor != 2 {
					t.Errorf("%s %d: status %d, %d bytes, %v", kind, size, resp.StatusCode, len(body), err)
				}
			}
		})
	}
	all.Wait()
	if s.near.Load() < 300 || len(s.gets) < 200 {
		t.Errorf("%d answers from memory, %d by net/http", s.near.Load(), len(s.gets))
	}
}

func request(t testing.TB, url string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
	}
	return r
}

// TestHTTP2Window: both sides together never send more than the client allows, and all of that.
func TestHTTP2Window(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	c := dialHTTP2(t, s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	const more, size, requests = 600_000, 20_000, 80
	c.must(c.WriteWindowUpdate(0, more))
	var r received
	for i := range uint32(requests) {
		id := 2*i + 1
		c.get(id, fmt.Sprintf("/%s/%d", [...]string{"near", "far"}[i%2], size))
		// So the filter has no answers that wait: net/http would answer then.
		c.until(&r, func(http2.Frame) bool { return r.status[id] != "" })
	}
	if r.total < initialWindow+more {
		c.until(&r, func(http2.Frame) bool { return r.total == initialWindow+more })
	}
	if !c.alive(&r) || r.total != initialWindow+more {
		t.Errorf("%d bytes have come, %d are allowed", r.total, initialWindow+more)
	}
	if n := s.near.Load(); n != more/3/size {
		t.Errorf("%d answers from memory", n)
	}
	c.must(c.WriteWindowUpdate(0, requests*size))
	c.until(&r, func(http2.Frame) bool { return r.total == requests*size && r.allEnded(requests) })
	for i := range uint32(requests) {
		if id := 2*i + 1; r.status[id] != "200" || r.bytes[id] != size || !r.ended[id] {
			t.Errorf("stream %d: %s, %d bytes", id, r.status[id], r.bytes[id])
		}
	}
	// What was returned is used again.
	before := s.near.Load()
	c.get(2*requests+1, fmt.Sprintf("/near/%d", size))
	c.until(&r, func(http2.Frame) bool { return r.ended[2*requests+1] })
	if s.near.Load() != before+1 {
		t.Error("the filter has got nothing of the window back")
	}
}

// TestHTTP2AnsweredStreams: frames that a client may send about a stream that was answered do no harm, and others end
// the connection.
func TestHTTP2AnsweredStreams(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	for name, c := range map[string]struct {
		send  func(*http2Client) error
		alive bool
	}{
		"reset":    {func(c *http2Client) error { return c.WriteRSTStream(1, http2.ErrCodeCancel) }, true},
		"window":   {func(c *http2Client) error { return c.WriteWindowUpdate(1, 99) }, true},
		"priority": {func(c *http2Client) error { return c.WritePriority(1, http2.PriorityParam{Weight: 9}) }, true},
		"headers": {func(c *http2Client) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields("/near/1"),
				EndStream: true, EndHeaders: true})
		}, false},
		"data": {func(c *http2Client) error { return c.WriteData(1, true, []byte("more")) }, false},
		"of a stream that has not begun": {func(c *http2Client) error {
			return c.WriteRSTStream(7, http2.ErrCodeCancel)
		}, false},
		"a short reset": {func(c *http2Client) error {
			return c.WriteRawFrame(http2.FrameRSTStream, 0, 1, []byte{1})
		}, false},
		"unknown": {func(c *http2Client) error { return c.WriteRawFrame(99, 0, 1, []byte("?")) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dialHTTP2(t, s)
			client.must(client.WriteWindowUpdate(0, 1<<20))
			var r received
			client.get(1, "/near/100")
			client.until(&r, func(http2.Frame) bool { return r.ended[1] })
			client.must(c.send(client))
			if got := client.alive(&r); got != c.alive {
				t.Errorf("the connection goes on: %t", got)
			}
			if !c.alive {
				return
			}
			client.get(3, "/far/100")
			client.until(&r, func(http2.Frame) bool { return r.ended[3] })
			if r.status[3] != "200" || r.bytes[3] != 100 {
				t.Errorf("the next request: %+v", r)
			}
		})
	}
}

// TestHTTP2HeaderBlocks: a request is answered from memory however its header block is sent, and floods end.
func TestHTTP2HeaderBlocks(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	pieces := func(c *http2Client, block []byte, n int) {
		c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:n], EndStream: true,
			PadLength: 20, Priority: http2.PriorityParam{Weight: 7, StreamDep: 0, Exclusive: true}}))
		c.must(c.WriteContinuation(1, false, block[n:2*n]))
		c.must(c.WriteContinuation(1, true, block[2*n:]))
	}
	t.Run("in pieces", func(t *testing.T) {
		t.Parallel()
		c := dialHTTP2(t, s)
		c.must(c.WriteWindowUpdate(0, 1<<20))
		var r received
		if !c.alive(&r) {
			t.Fatal("no connection")
		}
		pieces(c, c.fields("/near/300"), 3)
		c.until(&r, func(http2.Frame) bool { return r.ended[1] })
		if r.status[1] != "200" || r.bytes[1] != 300 {
			t.Errorf("%+v", r)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, far := s.gets["/near/300"]; far {
			t.Error("net/http has answered")
		}
	})
	for name, send := range map[string]func(*http2Client) error{
		"many pieces": func(c *http2Client) error { return c.WriteContinuation(1, false, make([]byte, 1000)) },
		"another frame": func(c *http2Client) error {
			return c.WriteSettings()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dialHTTP2(t, s)
			c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields("/near/1")[:3],
				EndStream: true}))
			for range 200 {
				if send(c) != nil {
					break
				}
			}
			var r received
			if c.alive(&r) {
				t.Error("the connection goes on")
			}
		})
	}
}

// TestHTTP2HeaderBomb: of a header block that is much longer when it is decoded net/http gets no more than it needs to
// refuse it.
func TestHTTP2HeaderBomb(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	c := dialHTTP2(t, s)
	var r received
	c.must(c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: c.fields("/far/1", "x", strings.Repeat("y", 3900)),
		EndStream: true, EndHeaders: true,
	}))
	c.until(&r, func(http2.Frame) bool { return r.ended[1] })
	bomb := append(c.fields("/far/1"), bytes.Repeat([]byte{0x80 | 62}, 16_000)...) // the newest field, 62 MB in all
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: bomb, EndStream: true, EndHeaders: true}))
	c.until(&r, func(http2.Frame) bool { return r.ended[3] })
	if r.status[1] != "200" || r.status[3] != "431" || !c.alive(&r) {
		t.Errorf("%+v", r)
	}
}

// TestHTTP2SlowPreface: a connection of HTTP/2 may begin byte by byte.
func TestHTTP2SlowPreface(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	defer conn.Close()
	c := &http2Client{Framer: http2.NewFramer(conn, conn), t: t, conn: conn}
	c.hpack = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for _, b := range []byte(http2.ClientPreface) {
		_, err := conn.Write([]byte{b})
		c.must(err)
	}
	c.must(errors.Join(c.WriteSettings(), c.WriteWindowUpdate(0, 1<<20)))
	c.get(1, "/near/10")
	var r received
	c.until(&r, func(http2.Frame) bool { return r.ended[1] })
	if r.status[1] != "200" || s.near.Load() != 1 {
		t.Errorf("%+v, %d answers from memory", r, s.near.Load())
	}
}

// TestHTTP2SmallTable: a client that wants a smaller table for HPACK is answered by net/http, which says when its size
// changes.
func TestHTTP2SmallTable(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	c := dialHTTP2(t, s, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 64})
	c.must(c.WriteWindowUpdate(0, 1<<20))
	var r received
	for id := uint32(1); id < 20; id += 2 {
		c.get(id, "/near/50")
		c.until(&r, func(http2.Frame) bool { return r.ended[id] })
		if r.status[id] != "200" || r.failed {
			t.Fatalf("%+v", r)
		}
	}
	if n := s.near.Load(); n > 0 {
		t.Errorf("%d answers from memory", n)
	}
}

// TestHTTP2RequestsAsNetHTTP: whatever the filter takes for a valid and simple request net/http takes for the same one.
func TestHTTP2RequestsAsNetHTTP(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	c := dialHTTP2(t, s)
	c.must(c.WriteWindowUpdate(0, 1<<30))
	draw := rand.New(rand.NewPCG(7, 7))
	names := []string{":method", ":path", ":scheme", ":authority", ":status", ":protocol", "host", "Accept", "accept",
		"accept-encoding", "if-none-match", "cookie", "user-agent", "sec-fetch-mode", "te", "connection", "keep-alive",
		"content-length", "upgrade", "expect", "x-forwarded-for", "range", "", "a b", "acc\x00ept", "x-é"}
	values := []string{"GET", "POST", "http", "https", "killr", "trailers", "gzip", "a\x00b", "a\nb", "",
		" ", "0", "é", "*"}
	for round := range 3000 {
		path := fmt.Sprintf("/round/%d", round)
		fields := [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "killr"}, {":path", path},
			{"accept", "text/html"}, {"accept-encoding", "gzip"}}
		for range draw.IntN(4) {
			field := [2]string{names[draw.IntN(len(names))], values[draw.IntN(len(values))]}
			switch at := draw.IntN(len(fields)); draw.IntN(4) {
			case 0:
				fields[at] = field
			case 1:
				fields = append(fields[:at], fields[at+1:]...)
			default:
				fields = append(fields[:at], append([][2]string{field}, fields[at:]...)...)
			}
			if len(fields) == 0 {
				break
			}
		}
		c.block.Reset()
		for _, f := range fields {
			c.must(c.hpack.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		id := uint32(2*round + 1)
		c.must(c.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true,
		}))
		var r received
		c.until(&r, func(http2.Frame) bool { return r.ended[id] })
		if r.failed {
			t.Fatalf("%q ends the connection", fields)
		}
		s.mu.Lock()
		simple, taken := s.saw[path]
		got, known := s.gets[path]
		s.mu.Unlock()
		if !taken {
			continue
		}
		if !known || got.Method != http.MethodGet || got.Host != string(simple.Host) || got.URL.RawQuery != "" ||
			got.Header.Get("Accept-Encoding") != string(simple.AcceptEncoding) ||
			got.Header.Get("If-None-Match") != string(simple.IfNoneMatch) || r.status[id] != "200" {
			t.Errorf("%q: a simple request %+v, to net/http %s %v", fields, simple, r.status[id], got.Header)
		}
	}
	if n := len(s.saw); n < 300 {
		t.Errorf("only %d of the requests were simple", n)
	}
}

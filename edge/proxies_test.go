package edge

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// spoken is a header of the PROXY protocol of a client at 203.0.113.9.
const spoken = "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n"

// local is a header with which a proxy speaks for itself.
const local = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

// loggedFrom sends a request as tryLoggedFrom does, until it is logged: while the last connection of an address ends,
// the next is refused.
func loggedFrom(t *testing.T, e *Server, lines *testenv.Output, from, header, request string) string {
	t.Helper()
	logged := ""
	eventually(t, "a request from "+from+" is logged: "+header, func() bool {
		logged = tryLoggedFrom(t, e, lines, from, header, request)
		return logged != ""
	})
	return logged
}

// tryLoggedFrom sends bytes from an address, perhaps a request within TLS after them, and returns where the line of the
// log says that the request came from; "": the connection was cut, or net/http refused the request.
func tryLoggedFrom(t *testing.T, e *Server, lines *testenv.Output, from, header, request string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", e.Addr())
	if err != nil { // it can be cut before it is made
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, header)
	if e.cfg.Encrypts() {
		conn = tls.Client(conn, trusting)
	}
	client := &rawClient{t, conn, bufio.NewReader(conn)}
	_, _ = io.WriteString(conn, request) // a connection that is cut is noticed below
	a, err := client.tryReceive(http.MethodGet)
	if err != nil {
		return ""
	}
	id := a.header.Get("X-Request-Id")
	if id == "" { // net/http has answered
		return ""
	}
	line := ""
	eventually(t, "the answer is logged", func() (ok bool) {
		line, ok = lines.Line("msg=access", "request="+id)
		return ok
	})
	_, line, _ = strings.Cut(line, " from=")
	line, _, _ = strings.Cut(line, " ")
	return strings.Trim(line, `"`)
}

// TestProxyProtocol: below the fast path, net/http and TLS, the client is where a trusted proxy says, and nobody else.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		lines := testenv.NewOutput()
		e := s.start(onPath, func(c *Config) {
			c.AccessLog = slog.New(slog.NewTextHandler(lines, nil))
			c.Proxies = Proxies{Trusted: []string{"127.0.0.2"}, Protocol: true}
			c.AddressConns = 1
		})
		const fast, slow = "/photos/ansel", "/photos/ansel?a"
		for _, path := range []string{fast, slow} {
			for _, c := range []struct{ from, header, want string }{
				{"127.0.0.2", spoken, "203.0.113.9:4711"},
				{"127.0.0.2", "PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", "[2001:db8::7]:4711"},
				{"127.0.0.2", "PROXY UNKNOWN\r\n", "0.0.0.0:0"}, // not the proxy, which may name a client
				{"127.0.0.2", local, "192.0.2.99:0"},            // the proxy
				{"127.0.0.2", "", ""},
				{"127.0.0.2", "PROXY TCP4 0.0.0.0 198.51.100.1 4711 443\r\n", ""},
				{"127.0.0.1", spoken, ""},
				{"127.0.0.1", "", "127.0.0.1:"},
			} {
				logged := loggedFrom
				if c.want == "" {
					logged = tryLoggedFrom
				}
				got := logged(t, e, lines, c.from, c.header, rawGet(path, "X-Forwarded-For: 192.0.2.99"))
				if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
					t.Errorf("%s, %s %.20q: logged from %q, want %q", path, c.from, c.header, got, c.want)
				}
			}
		}
		// The limit of an address is that of the client.
		open := func() net.Conn {
			conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}).Dial("tcp", e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_, _ = io.WriteString(conn, spoken)
			return conn
		}
		refused := count(t, e.metrics.refused)
		open()
		open() // one of the two is closed
		eventually(t, "a further connection of the client is refused", func() bool {
			return count(t, e.metrics.refused) > refused
		})
		if got := loggedFrom(t, e, lines, "127.0.0.2", strings.Replace(spoken, "203.0.113.9", "203.0.113.8", 1),
			rawGet(fast)); got != "203.0.113.8:4711" {
			t.Errorf("another client is logged from %q", got)
		}
	})
}

// TestStopReadsHeaders: an edge that stops answers a client that has connected, though the proxy says only then where
// the client is. It gives that 5 s, which a busy machine may take by itself: so there are several tries.
func TestStopReadsHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	answered := func() bool {
		e, stop := s.stoppable(func(c *Config) {
			c.Proxies = Proxies{Trusted: []string{"127.0.0.1"}, Protocol: true}
		})
		dial := func(send string) *rawClient {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(conn, send)
			return &rawClient{t, conn, bufio.NewReader(conn)}
		}
		const get = "/photos/ansel"
		first := dial(spoken[:20])
		if a := dial(spoken + rawGet(get)).receive(http.MethodGet); a.status != http.StatusOK { // so both are taken
			t.Fatalf("status %d", a.status)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		eventually(t, "the port is closed", func() bool {
			conn, err := net.Dial("tcp", e.Addr())
			if err == nil {
				_ = conn.Close()
			}
			return err != nil
		})
		_, _ = io.WriteString(first.conn, spoken[20:]+rawGet(get))
		a, err := first.tryReceive(http.MethodGet)
		<-stopped
		return err == nil && a.status == http.StatusOK
	}
	for range 5 {
		if answered() {
			return
		}
	}
	t.Error("the connection is closed")
}

// TestForwardedFor: header fields name the client if a trusted proxy sends them, and are ignored otherwise.
func TestForwardedFor(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		for _, forwarded := range []bool{false, true} {
			lines := testenv.NewOutput()
			e := s.start(onPath, func(c *Config) {
				c.AccessLog = slog.New(slog.NewTextHandler(lines, nil))
				c.Proxies = Proxies{Trusted: []string{"127.0.0.2", "10.0.0.0/8"}, Forwarded: forwarded}
				c.AddressConns = 1
			})
			use := "X-Forwarded-For: 192.0.2.66, 203.0.113.9, 10.0.0.1"
			ignored := "Forwarded: for=192.0.2.66"
			if forwarded {
				use, ignored = "Forwarded: for=192.0.2.66, for=203.0.113.9, for=10.0.0.1", "X-Forwarded-For: 192.0.2.66"
			}
			keep, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}).Dial("tcp", e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer keep.Close() // connections of a trusted proxy are not counted
			for _, path := range []string{"/photos/ansel", "/photos/ansel?a"} {
				for _, c := range []struct{ from, field, want string }{
					{"127.0.0.2", use, "203.0.113.9:0"},
					{"127.0.0.2", ignored, "127.0.0.2:"},
					{"127.0.0.2", ignored + "\r\n" + use, "203.0.113.9:0"},
					{"127.0.0.1", use, "127.0.0.1:"},
				} {
					got := loggedFrom(t, e, lines, c.from, "", rawGet(path, c.field))
					if !strings.HasPrefix(got, c.want) {
						t.Errorf("%s from %s, %q: logged from %q, want %q", path, c.from, c.field, got, c.want)
					}
				}
			}
		}
	})
}

// TestProxiedEncryption: cookies are for TLS alone if a trusted proxy says that the client uses it.
func TestProxiedEncryption(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proxies    Proxies
		from, name string
		value      string
		want       bool
	}{
		{Proxies{}, "10.0.0.1:80", "X-Forwarded-Proto", "https", false},
		{Proxies{Trusted: []string{"10.0.0.1"}}, "10.0.0.1:80", "X-Forwarded-Proto", "https", true},
		{Proxies{Trusted: []string{"10.0.0.1"}}, "10.0.0.1:80", "X-Forwarded-Proto", "http", false},
		{Proxies{Trusted: []string{"10.0.0.1"}}, "10.0.0.2:80", "X-Forwarded-Proto", "https", false},
		{Proxies{Trusted: []string{"10.0.0.1"}}, "10.0.0.1:80", "Forwarded", "proto=https", false},
		{Proxies{Trusted: []string{"10.0.0.1"}, Forwarded: true}, "10.0.0.1:80", "Forwarded", "proto=https", true},
		{Proxies{Trusted: []string{"10.0.0.1"}, Forwarded: true}, "10.0.0.1:80", "X-Forwarded-Proto", "https", false},
	} {
		networks, err := c.proxies.networks()
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{cfg: Config{Proxies: c.proxies}, proxies: networks}
		r := &http.Request{Host: "photos.example", RemoteAddr: c.from, Header: http.Header{c.name: {c.value}}}
		s.readForwarded(r)
		if got := s.secureFor(r); got != c.want || strings.HasPrefix(s.originOf(r), "https://") != c.want {
			t.Errorf("%+v %s: %t, %s", c, c.value, got, s.originOf(r))
		}
	}
	for _, wrong := range []Proxies{{Protocol: true}, {Forwarded: true}, {Trusted: []string{"nginx"}}} {
		if _, err := New(Config{Addr: "127.0.0.1:0", NATS: newSite(t).nc, Proxies: wrong}); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

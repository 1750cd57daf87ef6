package edge

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"flickrkillr/ops/testenv"
)

// TestConnsOfOneAddress: an edge closes the connections that an address opens beyond its limit. It serves other
// addresses, and the same one once it has closed a connection. 127.0.0.2 stands for another visitor.
func TestConnsOfOneAddress(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		lines := testenv.NewOutput()
		e := s.edge(onPath, func(c *Config) { c.AddressConns, c.Logger = 3, slog.New(slog.NewTextHandler(lines, nil)) })
		open := func(ip string) (conn net.Conn, served bool) {
			t.Helper()
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
			head := make([]byte, len("HTTP/1.1 200"))
			conn, err := tryConnect(t, e, &dialer)
			if err == nil {
				_, _ = io.WriteString(conn, rawGet("/photos/ansel")) // what it leads to is read next
				_, err = io.ReadFull(conn, head)
			}
			if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return conn, string(head) == "HTTP/1.1 200"
		}
		var last net.Conn
		for range 3 {
			conn, served := open("127.0.0.1")
			if !served {
				t.Fatal("a connection within the limit is not served")
			}
			last = conn
		}
		for range 10 {
			if _, served := open("127.0.0.1"); served {
				t.Error("a connection beyond the limit is served")
			}
		}
		if _, served := open("127.0.0.2"); !served {
			t.Error("another address is not served")
		}
		if line := lines.String(); !strings.Contains(line, "127.0.0.1/32") {
			t.Errorf("the log does not name the address: %s", line)
		}
		_ = last.Close()
		eventually(t, "the address is served again", func() bool {
			_, served := open("127.0.0.1")
			return served
		})
	})
}

// TestNetwork: the addresses of one IPv6 network count as one, and an IPv4 address counts as itself.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := network(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s counts as %v, want %s", addr, got, want)
		}
	}
}

// TestRequestsOfOneAddress: an edge refuses the requests of HTTP/2 that an address has under way beyond its limit, over
// whichever connection, and no request of a trusted proxy.
func TestRequestsOfOneAddress(t *testing.T) {
	t.Parallel()
	const most = 4
	for name, trusted := range map[string][]string{"a visitor": nil, "a trusted proxy": {"127.0.0.1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := floodSite(t, func(c *Config) { c.AddressConns, c.Proxies.Trusted = most, trusted })
			clients := [...]*flooder{flood(t, e), flood(t, e)}
			for i := range most {
				c := clients[i%2]
				c.get(uint32(i/2*2+1), "/photos/never")
				if !c.send() {
					t.Fatal("the connection is ended")
				}
				eventually(t, "the request is under way", func() bool {
					return count(t, e.metrics.inFlight) == float64(i+1)
				})
			}
			for _, c := range clients {
				c.get(5, "/nowhere")
				c.send()
				if !c.until(func() bool { return c.ended == 1 }) || !c.goesOn() {
					t.Fatalf("the connection is ended: %v", c.code)
				}
				if (c.refused == 1) != (trusted == nil) {
					t.Errorf("%d refusals, %d answers", c.refused, c.answers)
				}
			}
			if got := count(t, e.metrics.refusedRequests); (got == 2) != (trusted == nil) {
				t.Errorf("%v refusals are counted", got)
			}
		})
	}
}

// TestAddressInDebt: an address whose connection was ended because of what it sent is slowed on its next one, and no
// other address is.
func TestAddressInDebt(t *testing.T) {
	t.Parallel()
	e := floodSite(t)
	const in, out = "127.0.0.5", "127.0.0.6"
	ended := dialFloodFrom(t, in, e.Addr())
	go ended.read()
	floods["a window that is too large"].flood(ended)
	if code, said := ended.endsWith(); !said || code != http2.ErrCodeFlowControl {
		t.Fatalf("the connection ends for %v", code)
	}
	_ = ended.conn.Close()
	for _, from := range []string{out, in} {
		before := count(t, e.metrics.paced)
		c := dialFloodFrom(t, from, e.Addr())
		go c.read()
		c.repeat(40, func(i int) error { return c.WritePing(false, [8]byte{byte(i)}) })
		if !c.goesOn() {
			t.Fatalf("the connection of %s is ended: %v", from, c.code)
		}
		if slowed := count(t, e.metrics.paced) > before; slowed != (from == in) {
			t.Errorf("%s is slowed: %t", from, slowed)
		}
	}
}

// TestAddressesAreForgotten: addresses without a connection are remembered while they are in debt, and so many at most.
func TestAddressesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFairListener(nil, 10, nil, nil)
		visit := func(i int, offends bool) {
			v := l.take(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32))
			if offends {
				v.shared.Offends(time.Now())
			}
			l.release(v)
		}
		for i := range 3 * mostLeft {
			visit(i, false)
			if i == 0 && len(l.visits) != 0 {
				t.Error("an address is remembered that is not in debt")
			}
			visit(i, true)
			visit(i, false)
		}
		if n := len(l.visits); n != mostLeft || len(l.left) != n {
			t.Errorf("%d addresses are remembered, %d have left, want %d", n, len(l.left), mostLeft)
		}
		time.Sleep(2 * time.Minute)
		visit(-1, false)
		if len(l.visits) != 0 || len(l.left) != 0 {
			t.Errorf("%d addresses are remembered, %d have left", len(l.visits), len(l.left))
		}
	})
}

package stack

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// threeServers is a cluster of three servers of NATS.
func threeServers(t *testing.T) []*NATS {
	t.Helper()
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			t.Fatal(err)
		}
	}
	var servers []*NATS
	for i := range ports {
		var routes []string
		for j, port := range ports {
			if j != i {
				routes = append(routes, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			}
		}
		n, err := StartNATS(NATSConfig{Dir: t.TempDir(), Cluster: &NATSCluster{
			Server: fmt.Sprintf("server-%d", i), Port: ports[i], Routes: routes,
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Stop)
		servers = append(servers, n)
	}
	return servers
}

// eventually waits until ok is true, for 30 s at most. testenv, which has one, imports this package.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 30 s: ", what)
		}
	}
}

// TestReturnsHome: of three servers the first is preferred. While it is away the connection is at another one, and when
// it is back the connection returns, with its subscriptions.
func TestReturnsHome(t *testing.T) {
	t.Parallel()
	servers := threeServers(t)
	for i := range servers { // each is somebody's first
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			var urls []string
			for j := range servers {
				urls = append(urls, servers[(i+j)%len(servers)].URL())
			}
			const apart = 20 * time.Millisecond
			b, err := joinBus(Login{URL: strings.Join(urls, ",")}, "test", nil, apart)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			eventually(t, "the connection is at home", func() bool { return b.ConnectedUrl() == urls[0] })
			heard, err := b.SubscribeSync("test")
			if err != nil {
				t.Fatal(err)
			}
			servers[i].Stop()
			eventually(t, "the connection is at another server", func() bool {
				return slices.Contains(urls[1:], b.ConnectedUrl()) && b.IsConnected()
			})
			if err := servers[i].Restart(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the connection is at home again", func() bool {
				return b.ConnectedUrl() == urls[0] && b.IsConnected()
			})
			if err := b.Publish("test", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := heard.NextMsg(30 * time.Second); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFrozenHomeIsNoHome: a server that takes connections and says nothing is not returned to.
func TestFrozenHomeIsNoHome(t *testing.T) {
	t.Parallel()
	frozen, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts for it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frozen.Close() }()
	if newHome(Login{URL: frozen.Addr().String() + ",other"}, nil).takes(t.Context(), "test") {
		t.Error("a server that says nothing takes a connection")
	}
	n, err := StartNATS(NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	h := newHome(Login{URL: n.URL() + ",other"}, nil)
	eventually(t, "a server that runs takes a connection", func() bool { return h.takes(t.Context(), "test") })
}

// TestRefusingHomeIsNoHome: no connection is left for a server that greets and then refuses.
func TestRefusingHomeIsNoHome(t *testing.T) {
	t.Parallel()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := refusing.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			_, _ = io.WriteString(conn,
				`INFO {"server_id":"A","version":"2.10.0","proto":1,"max_payload":1048576}`+"\r\n")
			_, _ = bufio.NewReader(conn).ReadString('\n') // CONNECT
			_, _ = io.WriteString(conn, "-ERR 'Authorization Violation'\r\n")
			_ = conn.Close()
			tries.Add(1)
		}
	}()
	defer func() {
		_ = refusing.Close()
		<-ended
	}()
	n, err := StartNATS(NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	b, err := joinBus(Login{URL: refusing.Addr().String() + "," + n.URL()}, "test", nil, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	eventually(t, "there is a connection", b.IsConnected)
	tried, reconnects := tries.Load(), b.Stats().Reconnects
	eventually(t, "home is tried", func() bool { return tries.Load() >= tried+3 })
	if got := b.Stats().Reconnects; got != reconnects {
		t.Errorf("the connection was left %d times for a server that refuses", got-reconnects)
	}
}

func TestHomeIsTheFirst(t *testing.T) {
	t.Parallel()
	orders := map[string]bool{}
	for range 200 {
		order := homeFirst("nats://a,nats://b,nats://c")
		orders[order] = true
		if !strings.HasPrefix(order, "nats://a,") {
			t.Fatal(order)
		}
	}
	if len(orders) != 2 {
		t.Errorf("orders: %v, want two", orders)
	}
	for in, want := range map[string]string{
		"nats://a:1,nats://b": "a:1", "tls://a, b": "a:4222", "a,b": "a:4222", "nats://u:p@[::1]:7,b": "[::1]:7",
		"nats://a": "", "nats://a, ,": "", " ,nats://a": "", "nats://%,nats://b": "",
	} {
		got := ""
		if h := newHome(Login{URL: in}, nil); h != nil {
			got = h.address
		}
		if got != want {
			t.Errorf("the home in %q is %q, want %q", in, got, want)
		}
	}
}

// A wish for home is good for one try, or a home that has gone again would keep the connection away from all others.
func TestHomeIsChosenOnce(t *testing.T) {
	t.Parallel()
	servers := []nats.Server{
		{URL: &url.URL{Scheme: "nats", Host: "127.0.0.1:2"}}, {URL: &url.URL{Scheme: "nats", Host: "127.0.0.1:1"}},
	}
	h := newHome(Login{URL: "nats://127.0.0.1:1,nats://127.0.0.1:2"}, nil)
	h.wanted.Store(true)
	if s, _ := h.choose(servers, nats.ServerInfo{}); s == nil || s.URL.Host != "127.0.0.1:1" {
		t.Errorf("%v was chosen, want home", s)
	}
	if s, _ := h.choose(servers, nats.ServerInfo{}); s != nil {
		t.Errorf("%v was chosen, want the usual one", s.URL)
	}
	h.wanted.Store(true)
	if s, _ := h.choose(servers[:1], nats.ServerInfo{}); s != nil || h.wanted.Load() {
		t.Errorf("%v was chosen, or home is still wanted, though it is not in the list", s)
	}
}

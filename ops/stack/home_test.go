package stack

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
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
	if greets(t.Context(), frozen.Addr().String()) {
		t.Error("a server that says nothing has greeted")
	}
	n, err := StartNATS(NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	if !greets(t.Context(), hostPort(n.URL())) {
		t.Error("a server that runs has not greeted")
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
		if h := newHome(in, nil); h != nil {
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
	h := newHome("nats://127.0.0.1:1,nats://127.0.0.1:2", nil)
	h.wanted.Store(true)
	if s, _ := h.choose(nil, nats.ServerInfo{}); s != nil {
		t.Error("a server was chosen of none")
	}
	if h.wanted.Load() {
		t.Error("home is still wanted")
	}
}

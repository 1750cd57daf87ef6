package stack

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// lazyConn is a connection whose owner stops reading.
type lazyConn struct {
	net.Conn
	lazy  *atomic.Bool
	ended chan struct{}
}

func (c *lazyConn) Read(b []byte) (int, error) {
	if c.lazy.Load() {
		<-c.ended
		return 0, net.ErrClosed
	}
	return c.Conn.Read(b)
}

// lazyDialer makes such connections.
type lazyDialer struct {
	lazy  atomic.Bool
	ended chan struct{}
}

func (d *lazyDialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	return &lazyConn{conn, &d.lazy, d.ended}, err
}

// TestSlowClientIsDropped: NATS drops a client that does not read what it subscribed to. Another subscriber gets every
// message, in time.
func TestSlowClientIsDropped(t *testing.T) {
	t.Parallel()
	n, err := StartNATS(NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	connect := func(name string, options ...nats.Option) *nats.Conn {
		t.Helper()
		nc, err := Connect(Login{URL: n.URL()}, name, nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	dialer := &lazyDialer{ended: make(chan struct{})}
	slow := connect("slow", nats.SetCustomDialer(dialer))
	t.Cleanup(func() { close(dialer.ended) }) // before its Close, which waits for the reader
	if _, err := slow.SubscribeSync("busy"); err != nil {
		t.Fatal(err)
	}
	if err := slow.Flush(); err != nil {
		t.Fatal(err)
	}
	dialer.lazy.Store(true)
	other, publisher := connect("other"), connect("publisher")
	sub, err := other.SubscribeSync("busy")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	const most = 4000 // of 64 KiB: four times what NATS keeps for a client
	message := make([]byte, 64<<10)
	for i := range most {
		if err := publisher.Publish("busy", message); err != nil {
			t.Fatal(err)
		}
		if _, err := sub.NextMsg(10 * time.Second); err != nil {
			t.Fatalf("another subscriber misses message %d: %v", i, err)
		}
		if n.server.NumSlowConsumers() > 0 {
			return
		}
	}
	t.Error("a client that reads nothing is still connected")
}

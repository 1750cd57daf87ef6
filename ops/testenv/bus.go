package testenv

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
)

// NATS starts an embedded nats-server with JetStream for this test and returns its URL.
func NATS(t testing.TB) string {
	t.Helper()
	return NATSServer(t).URL()
}

// NATSServer is NATS for tests that restart it.
func NATSServer(t testing.TB) *stack.NATS {
	t.Helper()
	n, err := stack.StartNATS(stack.NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

// Connect connects to a nats-server as the roles do, and closes the connection when the test ends.
func Connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := stack.Connect(url, t.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
		nc.Close()
		select { // Close returns before its goroutines have
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Error("the NATS connection did not close")
		}
	})
	return nc
}

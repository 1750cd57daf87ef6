package renderer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// doorman passes connections on to Postgres, and counts them.
type doorman struct {
	target string
	count  atomic.Int64
}

// stand makes a doorman for the server at target, and returns it and its address.
func stand(t testing.TB, target string) (*doorman, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &doorman{target: target}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			d.count.Add(1)
			running.Go(func() { d.pass(client) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return d, l.Addr().String()
}

func (d *doorman) pass(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", d.target)
	if err != nil {
		return
	}
	defer server.Close()
	var answers sync.WaitGroup
	answers.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	_, _ = io.Copy(server, client)
	_ = server.Close()
	answers.Wait()
}

// TestFrozenPostgresHasOneProbe: however many requests come while Postgres is frozen, it is left with one attempt to
// connect and one to cancel a query. Hundreds of them cost it seconds when it was back.
func TestFrozenPostgresHasOneProbe(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	at, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	d, address := stand(t, at.Host)
	at.Host = address
	pool, err := store.OpenPool(t.Context(), at.String(), 12)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	st := newSiteOn(t, testenv.NATS(t), pool)
	st.start(t, nil)
	st.get(t, page.User("ansel"))
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	before := d.count.Load()
	const refusals, visitors = 1000, 20
	var refused atomic.Int64
	var load sync.WaitGroup
	for v := range visitors {
		load.Go(func() {
			for n := v; refused.Load() < refusals && t.Context().Err() == nil; n++ {
				reply, err := st.nc.Request(fmt.Sprintf("page.photo.%d", n%103+1), nil, 20*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				if code := wire.Code(wire.ErrorOf(reply)); code == "unavailable" || code == "busy" {
					refused.Add(1)
				}
			}
		})
	}
	load.Wait()
	attempts := d.count.Load() - before
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	const probes, cancels = 1, 1
	if attempts > probes+cancels {
		t.Errorf("%d attempts to connect to a frozen Postgres for %d refused requests, want at most %d", attempts,
			refused.Load(), probes+cancels)
	}
	begun := time.Now()
	eventually(t, 30*time.Second, func() error { return wire.ErrorOf(st.request(t, "page.user.ansel")) })
	t.Logf("%d attempts for %d refused requests; usable %s after the thaw", attempts, refused.Load(), time.Since(begun))
}

package renderer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime/pprof"
	"strings"
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

// label counts the goroutines that a test, and these themselves, start before it ends. Other tests run meanwhile.
type label string

func newLabel(t testing.TB) label {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("test", t.Name())))
	return label(fmt.Sprintf("%q:%q", "test", t.Name()))
}

func (l label) end() { pprof.SetGoroutineLabels(context.Background()) }

func (l label) goroutines(t testing.TB) (n int64) {
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Error(err)
	}
	_, stacks, _ := strings.Cut(profile.String(), "\n")   // a line of its own says how many there are
	for stack := range strings.SplitSeq(stacks, "\n\n") { // "12 @ 0x1 0x2\n# labels: {"test":"name"}\n..."
		var same int64
		if _, err := fmt.Sscanf(stack, "%d @", &same); err == nil && strings.Contains(stack, string(l)) {
			n += same
		}
	}
	return n
}

// TestFrozenPostgresHasOneProbe: however many requests come while Postgres is frozen, it is left with one attempt to
// connect and one to cancel a query. Hundreds of them cost it seconds when it was back. The service has no more than
// twice as many goroutines meanwhile.
func TestFrozenPostgresHasOneProbe(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	at, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	d, address := stand(t, at.Host)
	at.Host = address
	mine := newLabel(t)
	pool, err := store.OpenPool(t.Context(), at.String(), 12)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	st := newSiteOn(t, testenv.NATS(t), pool)
	st.start(t, nil)
	mine.end()
	st.get(t, page.User("ansel"))
	usual := mine.goroutines(t)
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	before := d.count.Load()
	const refusals, visitors, sample = 1000, 20, 100
	var refused, most atomic.Int64
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
					if refused.Add(1)%sample == 1 {
						most.Store(max(most.Load(), mine.goroutines(t)))
					}
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
	if usual == 0 || most.Load() > 2*usual {
		t.Errorf("%d goroutines while Postgres is frozen, want at most twice the usual %d", most.Load(), usual)
	}
	begun := time.Now()
	eventually(t, 30*time.Second, func() error { return wire.ErrorOf(st.request(t, "page.user.ansel")) })
	t.Logf("%d attempts for %d refused requests, %d goroutines instead of %d; usable %s after the thaw", attempts,
		refused.Load(), most.Load(), usual, time.Since(begun))
}

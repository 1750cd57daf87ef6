package fastpath

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestHeldBodies: what clients at one address send is kept up to a bound while nobody reads it, over however many
// connections. Then they wait, and a connection of which little is kept goes on. When bodies are read, all go on.
func TestHeldBodies(t *testing.T) {
	onAddress(t, nil, func(t *testing.T, l *addressListener) {
		const connections = 2 * mostHeld / ConnBuffer
		part := make([]byte, LargestFrame)
		var all sync.WaitGroup
		var mu sync.Mutex
		sent, waiting := 0, 0
		for range connections {
			c := openBody(t, l)
			all.Go(func() {
				for range ConnBuffer / LargestFrame {
					if c.WriteData(1, false, part) != nil {
						t.Error("a connection is ended")
						return
					}
					mu.Lock()
					sent += len(part)
					mu.Unlock()
				}
				mu.Lock()
				waiting++
				mu.Unlock()
			})
		}
		synctest.Wait()
		mu.Lock()
		if sent < mostHeld || sent > mostHeld+connections*(alwaysHeld+LargestFrame) {
			t.Errorf("%d bytes are taken, want %d", sent, mostHeld)
		}
		if waiting == connections {
			t.Error("no connection waits")
		}
		mu.Unlock()
		other := beginHTTP2(t, l.dial())
		var r received
		go func() {
			other.must(other.WriteHeaders(http2.HeadersFrameParam{StreamID: 1,
				BlockFragment: other.fields("/far/reads/9"), EndHeaders: true}))
			other.must(other.WriteData(1, false, part[:1000])) // read, but counts
			other.must(other.WriteData(1, true, part))
		}()
		other.until(&r, func(http2.Frame) bool { return r.ended[1] })
		if r.status[1] != "200" {
			t.Errorf("a small body is not taken: %+v", r)
		}
		close(l.site.goOn)
		all.Wait()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if sent != connections*ConnBuffer {
			t.Errorf("%d of %d bytes are taken in the end", sent, connections*ConnBuffer)
		}
		l.address.mu.Lock()
		defer l.address.mu.Unlock()
		if l.address.bodies > connections*8<<10 {
			t.Errorf("%d bytes count as kept once all is read", l.address.bodies)
		}
	})
}

// TestHeldBeyondBounds: what net/http refuses does not count, and of connections that wait only as many go on as there
// is room for.
func TestHeldBeyondBounds(t *testing.T) {
	t.Parallel()
	var address Address
	var first, second, third held
	first.address, second.address, third.address = &address, &address, &address
	for range 2 * ConnBuffer / LargestFrame {
		if first.take(LargestFrame) != nil {
			t.Fatal("there is no room")
		}
	}
	if first.bytes != ConnBuffer || address.bodies != ConnBuffer {
		t.Errorf("%d bytes of a connection count, and %d of its address", first.bytes, address.bodies)
	}
	address.held(mostHeld - ConnBuffer)
	for _, h := range []*held{&second, &third} {
		for h.bytes < alwaysHeld {
			if h.take(LargestFrame) != nil {
				t.Fatal("a connection that has little waits")
			}
		}
	}
	one, other := second.take(LargestFrame), third.take(LargestFrame)
	if one == nil || other == nil {
		t.Fatal("a connection that has much does not wait")
	}
	address.held(-2*alwaysHeld - LargestFrame)
	<-one
	<-other
	if second.take(LargestFrame) != nil || third.take(LargestFrame) == nil {
		t.Error("not one of two goes on")
	}
}

// TestHeldBodiesThatStay: a connection that waits for too long ends, and what was kept of those that end counts no
// more.
func TestHeldBodiesThatStay(t *testing.T) {
	onAddress(t, nil, func(t *testing.T, l *addressListener) {
		l.address.held(mostHeld)
		c := openBody(t, l)
		began := time.Now()
		for c.WriteData(1, false, make([]byte, LargestFrame)) == nil {
		}
		if took := time.Since(began); took != heldWait {
			t.Errorf("the connection ends after %v, want %v", took, heldWait)
		}
		close(l.site.goOn)
		synctest.Wait()
		l.address.mu.Lock()
		defer l.address.mu.Unlock()
		if l.address.bodies != mostHeld {
			t.Errorf("%d bytes of a connection that has ended count as kept", l.address.bodies-mostHeld)
		}
	})
}

// openBody connects, and begins a request with a body that nobody reads.
func openBody(t *testing.T, l *addressListener) *http2Client {
	c := beginHTTP2(t, l.dial())
	go func() {
		var r received
		c.until(&r, func(http2.Frame) bool { return r.failed })
		_ = c.conn.Close()
	}()
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields("/far/waits/9"),
		EndHeaders: true}))
	<-l.site.waiting
	return c
}

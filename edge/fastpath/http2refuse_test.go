package fastpath

import (
	"net"
	"testing"

	"golang.org/x/net/http2"
)

// countedListener is a listener all of whose connections count together.
type countedListener struct {
	net.Listener
	address Address
}

type countedConn struct {
	net.Conn
	address *Address
}

func (c countedConn) Address() *Address { return c.address }

func (l *countedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return countedConn{nc, &l.address}, err
}

// TestHTTP2Refuses: beyond the requests at once of an address others are refused, on each connection of it, with and
// without a body. They harm neither the connection nor its windows, and are answered later.
func TestHTTP2Refuses(t *testing.T) {
	t.Parallel()
	const most = 3
	s := startHTTP2Counted(t, most)
	var seen received
	first := dialHTTP2(t, s)
	for i := range uint32(most) {
		first.get(2*i+1, "/far/waits/9")
		<-s.waiting // so it counts
	}
	c := dialHTTP2(t, s)
	var r received
	refused := func(id uint32) {
		t.Helper()
		if !r.ended[id] {
			c.until(&r, func(http2.Frame) bool { return r.ended[id] })
		}
		if r.status[id] != "reset" {
			t.Errorf("stream %d: %+v", id, r)
		}
	}
	c.must(c.WriteWindowUpdate(0, 1<<20))
	c.get(1, "/far/9")
	refused(1)
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.fields("/far/reads/9"),
		EndHeaders: true}))
	// More than the window of the connection, which is given back.
	given := 0
	for range 200 {
		c.must(c.WriteData(3, false, make([]byte, LargestFrame)))
		c.until(&r, func(f http2.Frame) bool {
			w, ok := f.(*http2.WindowUpdateFrame)
			if ok && w.StreamID == 0 && w.Increment == LargestFrame {
				given++
			}
			return ok && w.Increment == LargestFrame
		})
	}
	c.must(c.WriteData(3, false, nil))
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.fields("/")[:0], EndStream: true,
		EndHeaders: true})) // trailers
	refused(3)
	if given != 200 {
		t.Errorf("the window is given back %d times", given)
	}
	c.get(5, "/near/100") // costs little
	c.until(&r, func(http2.Frame) bool { return r.ended[5] })
	if r.status[5] != "200" || !c.alive(&r) || s.refused.Load() != 2 {
		t.Errorf("%+v, %d are refused", r, s.refused.Load())
	}
	close(s.goOn)
	first.until(&seen, func(http2.Frame) bool { return seen.allEnded(most) })
	for id := uint32(7); r.status[id-2] != "200" || id == 7; id += 2 { // when the handlers have returned
		c.get(id, "/far/9")
		c.until(&r, func(http2.Frame) bool { return r.ended[id] })
		if r.failed {
			t.Fatalf("%+v", r)
		}
	}
	// Of a refused request that net/http knows to be over it says so.
	c.must(c.WriteData(3, true, []byte("late")))
	if seen.status[1] != "200" || !c.alive(&r) {
		t.Errorf("%+v, %+v", seen, r)
	}
}

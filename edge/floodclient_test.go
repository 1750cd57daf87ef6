package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// flooder is a client of HTTP/2 that writes frames itself, and counts what comes back.
type flooder struct {
	*http2.Framer
	t     testing.TB
	conn  net.Conn
	out   bytes.Buffer // frames that are not sent
	block bytes.Buffer
	hpack *hpack.Encoder
	done  chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	changed *sync.Cond
	answers int // that have begun
	ended   int // streams, by an answer or a reset
	refused int // streams, by a reset
	bytes   int // of bodies
	pong    [8]byte
	code    http2.ErrCode // of GOAWAY
	gone    bool          // GOAWAY has come
	over    bool          // nothing more comes
}

// flood connects to an edge. Unless it is idle, what comes is read.
func flood(t testing.TB, e *Server, settings ...http2.Setting) *flooder {
	t.Helper()
	c := dialFlood(t, e, settings...)
	go c.read()
	return c
}

// dialFlood is flood, and reads nothing.
func dialFlood(t testing.TB, e *Server, settings ...http2.Setting) *flooder {
	t.Helper()
	return dialFloodFrom(t, "127.0.0.1", e.Addr(), settings...)
}

// dialFloodFrom is dialFlood from an address of this machine, to a port of an edge.
func dialFloodFrom(t testing.TB, from, to string, settings ...http2.Setting) *flooder {
	t.Helper()
	config := trusting.Clone()
	config.NextProtos = []string{http2.NextProtoTLS}
	dialer := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := tls.DialWithDialer(&dialer, "tcp", to, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * time.Minute))
	c := &flooder{t: t, conn: conn, done: make(chan struct{})}
	c.changed = sync.NewCond(&c.mu)
	c.Framer = http2.NewFramer(&c.out, conn)
	c.AllowIllegalWrites = true
	c.hpack = hpack.NewEncoder(&c.block)
	_, _ = c.out.WriteString(http2.ClientPreface)
	c.must(c.WriteSettings(settings...))
	return c
}

func (c *flooder) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// get adds a request without a body; open one whose body is still to come.
func (c *flooder) get(stream uint32, path string, more ...string) {
	c.request("GET", stream, path, true, more)
}

func (c *flooder) open(stream uint32, path string) { c.request("POST", stream, path, false, nil) }

func (c *flooder) request(method string, stream uint32, path string, ends bool, more []string) {
	c.must(c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: c.fields(method, path, more), EndStream: ends, EndHeaders: true,
	}))
}

func (c *flooder) fields(method, path string, more []string) []byte {
	c.block.Reset()
	all := append([]string{":method", method, ":scheme", "https", ":authority", "killr", ":path", path,
		"accept-encoding", "gzip"}, more...)
	for i := 0; i < len(all); i += 2 {
		c.must(c.hpack.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
	}
	return c.block.Bytes()
}

// send sends the frames so far. It returns false when the connection has ended.
func (c *flooder) send() bool {
	_, err := c.conn.Write(c.out.Bytes())
	c.out.Reset()
	return err == nil
}

// repeat sends what add adds up to n times, many at once. It stops when the connection ends.
func (c *flooder) repeat(n int, add func(i int) error) {
	for i := range n {
		c.must(add(i))
		if c.out.Len() > 8<<10 && !c.send() {
			return
		}
	}
	c.send()
}

// read counts what comes, until the connection ends.
func (c *flooder) read() {
	defer close(c.done)
	for {
		frame, err := c.ReadFrame()
		c.mu.Lock()
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			c.t.Error("the connection neither answers nor ends")
		}
		if err != nil {
			c.over = true
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			c.answers++
			if f.StreamEnded() {
				c.ended++
			}
		case *http2.DataFrame:
			if c.bytes += len(f.Data()); f.StreamEnded() {
				c.ended++
			}
		case *http2.RSTStreamFrame:
			c.ended++
			c.refused++
		case *http2.PingFrame:
			c.pong = f.Data
		case *http2.GoAwayFrame:
			c.code, c.gone = f.ErrCode, true
		}
		c.changed.Broadcast()
		c.mu.Unlock()
	}
}

// until waits until a condition holds. It returns false when the connection ends before.
func (c *flooder) until(holds func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !holds() && !c.over {
		c.changed.Wait()
	}
	return holds()
}

// goesOn reports whether the connection still answers.
func (c *flooder) goesOn() bool {
	data := [8]byte{'g', 'o', 'e', 's', ' ', 'o', 'n', '?'}
	c.must(c.WritePing(false, data))
	return c.send() && c.until(func() bool { return c.pong == data })
}

// endsWith waits for the end of the connection, and returns what it was ended for. The client leaves when it is told:
// the edge waits for that.
func (c *flooder) endsWith() (code http2.ErrCode, said bool) {
	c.until(func() bool { return c.gone })
	_ = c.conn.(*tls.Conn).NetConn().(*net.TCPConn).CloseWrite() // the connection may have ended
	<-c.done
	return c.code, c.gone
}

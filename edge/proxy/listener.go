package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Listener accepts connections. Those of trusted proxies begin with a header of the PROXY protocol, which says where
// the client is; without a valid one they are closed. Others must not send one: it is taken for a request.
type Listener struct {
	net.Listener // of TCP
	trusted      Networks
	timeout      time.Duration
	refused      func(from net.Addr, err error)

	ready   chan accepted
	reading chan struct{} // a token for each header that is being read
	closed  chan struct{}
	once    sync.Once
	wg      sync.WaitGroup

	mu      sync.Mutex
	pending map[net.Conn]struct{} // whose header is being read; nil: closed
}

type accepted struct {
	conn net.Conn
	err  error
}

// mostHeaders are read at the same time. Proxies send them at once, so these are many.
const mostHeaders = 1000

// Listen returns a Listener over a listener of TCP. A header must be complete within timeout. refused is told of
// connections that are closed because of their header. The caller closes the listener.
func Listen(lis net.Listener, trusted Networks, timeout time.Duration, refused func(net.Addr, error)) *Listener {
	l := &Listener{Listener: lis, trusted: trusted, timeout: timeout, refused: refused, ready: make(chan accepted),
		reading: make(chan struct{}, mostHeaders), closed: make(chan struct{}), pending: map[net.Conn]struct{}{}}
	l.wg.Go(l.run)
	return l
}

// Conn is a connection whose client a proxy has named.
type Conn struct {
	*net.TCPConn
	client net.Addr
}

// RemoteAddr is the address of the client.
func (c *Conn) RemoteAddr() net.Addr { return c.client }

// Accept returns a connection: a *net.TCPConn or a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case next := <-l.ready:
		return next.conn, next.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Retire takes no further connections. Accept goes on to return those that were taken before, once their header is
// read: Retire waits for that, until ctx ends.
func (l *Listener) Retire(ctx context.Context) {
	_ = l.Listener.Close()
	returned := make(chan struct{})
	go func() { // until Close at the latest
		defer close(returned)
		l.wg.Wait()
	}()
	select {
	case <-returned:
	case <-ctx.Done():
	}
}

// Close also closes the connections whose header is being read.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		if err = l.Listener.Close(); errors.Is(err, net.ErrClosed) { // by Retire
			err = nil
		}
		l.mu.Lock()
		for nc := range l.pending {
			_ = nc.Close()
		}
		l.pending = nil
		l.mu.Unlock()
		l.wg.Wait()
	})
	return err
}

// run accepts connections until the listener is closed.
func (l *Listener) run() {
	for {
		nc, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !l.trusted.Contains(addrOf(nc.RemoteAddr())) {
			if !l.pass(nc, err) {
				return
			}
			continue
		}
		select {
		case l.reading <- struct{}{}:
			l.wg.Go(func() {
				defer func() { <-l.reading }()
				l.read(nc.(*net.TCPConn))
			})
		case <-l.closed:
			_ = nc.Close()
			return
		}
	}
}

// pass gives a connection, or an error, to Accept. It returns false when the listener is closed.
func (l *Listener) pass(nc net.Conn, err error) bool {
	select {
	case l.ready <- accepted{nc, err}:
		return true
	case <-l.closed:
		if nc != nil {
			_ = nc.Close()
		}
		return false
	}
}

// read reads the header of a connection, and passes the connection on.
func (l *Listener) read(nc *net.TCPConn) {
	if !l.begin(nc) {
		_ = nc.Close()
		return
	}
	client, err := netip.AddrPort{}, nc.SetReadDeadline(time.Now().Add(l.timeout))
	if err == nil {
		client, err = readHeader(nc)
	}
	if err == nil {
		err = nc.SetReadDeadline(time.Time{})
	}
	switch {
	case !l.end(nc):
		_ = nc.Close()
	case err != nil:
		_ = nc.SetLinger(0) // nothing of it stays in the kernel
		_ = nc.Close()
		l.refused(nc.RemoteAddr(), err)
	case !client.IsValid():
		l.pass(nc, nil)
	default:
		l.pass(&Conn{nc, net.TCPAddrFromAddrPort(client)}, nil)
	}
}

// begin has Close close a connection, unless the listener is closed already.
func (l *Listener) begin(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		return false
	}
	l.pending[nc] = struct{}{}
	return true
}

// end is the opposite of begin.
func (l *Listener) end(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		return false
	}
	delete(l.pending, nc)
	return true
}

package fastpath

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// listener accepts connections that net/http and the fast path share.
type listener struct {
	net.Listener
	server     *Server
	encryption *tls.Config // nil: none
}

// Listener returns the listener for the http.Server. Its connections come from lis, and are encrypted unless encryption
// is nil. The http.Server must speak HTTP/2 without TLS: it is not told of the encryption.
func (s *Server) Listener(lis net.Listener, encryption *tls.Config) net.Listener {
	return listener{lis, s, encryption}
}

func (l listener) Accept() (net.Conn, error) {
	if l.server.slots != nil {
		select {
		case l.server.slots <- struct{}{}:
		case <-l.server.shut:
			return nil, net.ErrClosed
		}
	}
	nc, err := l.Listener.Accept()
	if err != nil {
		l.server.release()
		return nil, err
	}
	var address *Address
	if counted, ok := nc.(Counted); ok {
		address = counted.Address()
	}
	if l.encryption != nil {
		nc = tls.Server(nc, l.encryption)
	}
	return l.server.add(nc, address), nil
}

// Close also ends an Accept that waits until there are fewer connections.
func (l listener) Close() error {
	l.server.once.Do(func() { close(l.server.shut) })
	return l.Listener.Close()
}

// add adds a connection. Without an address it counts by itself.
func (s *Server) add(nc net.Conn, address *Address) *conn {
	c := &conn{Conn: nc, server: s, address: address, counted: address != nil, woken: make(chan struct{}, 1)}
	if !c.counted {
		c.address = new(Address)
	}
	c.held.address = c.address
	_, c.encrypts = nc.(*tls.Conn)
	if s.cfg.Off {
		c.state.Store(connUnparsed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return c
}

// release makes room for another connection.
func (s *Server) release() {
	if s.slots != nil {
		<-s.slots
	}
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.conns[c]; open {
		s.release()
	}
	if delete(s.conns, c); len(s.conns) == 0 {
		select {
		case s.empty <- struct{}{}:
		default: // a notification is already waiting
		}
	}
}

// Drain delegates every further request to net/http, whose handler can say that the connection is closed after it.
func (s *Server) Drain() { s.draining.Store(true) }

// Stop delegates every further request, and closes the connections that net/http believes to be new: it would wait for
// their first request.
func (s *Server) Stop() {
	s.stopping.Store(true)
	s.each(func(c *conn) {
		if c.state.CompareAndSwap(connWaiting, connClosed) {
			_ = c.Conn.SetReadDeadline(past)
		}
	})
}

// begunPoll is the time between two looks of WaitBegun.
const begunPoll = 5 * time.Millisecond

// WaitBegun returns when each connection has begun its first request, or with ctx's error. The listener was closed
// before. net/http drops a request that it reads after its Shutdown. Clients send a request again on another connection
// if it was not the first of its connection, which servers close at any time.
func (s *Server) WaitBegun(ctx context.Context) error {
	look := time.NewTicker(begunPoll)
	defer look.Stop()
	for {
		begun := true
		s.each(func(c *conn) { begun = begun && c.begun.Load() })
		if begun {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Wait returns when every connection is closed, or with ctx's error. net/http closes them when it shuts down; a
// connection that is being answered closes afterwards.
func (s *Server) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		n := len(s.conns)
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-s.empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Cut closes every connection at once. The server has been stopped.
func (s *Server) Cut() { s.each(func(c *conn) { _ = c.closeConn() }) }

func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		f(c)
	}
}

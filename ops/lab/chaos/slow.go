package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// slowAddress is where slow clients come from. On Linux all of 127.0.0.0/8 is this machine. Visitors come
// from 127.0.0.1.
const slowAddress = "127.0.0.2"

// slowClients are clients of each kind, at each edge.
const slowClients = 1000

// slow has clients of an address of their own take connections of all edges: of each 2,000, half read a page and
// nothing else at 100 bytes a second, half send a request at a byte a second. Each comes back a second after it was
// cut.
func slow(ctx context.Context, s *scene, _ int, hold time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	var all sync.WaitGroup
	var taken atomic.Int64
	for _, edge := range s.edges {
		u, err := url.Parse(edge)
		if err != nil {
			return err
		}
		for n := range 2 * slowClients {
			act := sendSlowly
			if n%2 == 0 {
				act = readSlowly
			}
			all.Go(func() {
				for ctx.Err() == nil {
					if act(ctx, u.Host) {
						taken.Add(1)
					}
					sleep.For(ctx, time.Second)
				}
			})
		}
	}
	all.Wait()
	if taken.Load() < slowClients {
		return fmt.Errorf("slow clients had %d connections in all, fewer than %d", taken.Load(), slowClients)
	}
	return nil
}

// dialSlowly connects with a small buffer for what is read. The connection ends with ctx.
func dialSlowly(ctx context.Context, host string) (net.Conn, func() bool, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(slowAddress)}, Timeout: 5 * time.Second,
		Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			return errors.Join(c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
			}), err)
		}}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, nil, err
	}
	return conn, context.AfterFunc(ctx, func() { _ = conn.Close() }), nil
}

// readSlowly asks for a page and reads 100 bytes of it a second. It reports whether the edge took the connection.
func readSlowly(ctx context.Context, host string) bool {
	conn, stop, err := dialSlowly(ctx, host)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer stop()
	if _, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return false
	}
	part, read := make([]byte, 100), false
	for {
		if _, err := io.ReadFull(conn, part); err != nil {
			return read
		}
		read = true
		if !sleep.For(ctx, time.Second) {
			return true
		}
	}
}

// sendSlowly sends a request at a byte a second. It reports whether the edge took the connection, for a second at
// least.
func sendSlowly(ctx context.Context, host string) bool {
	conn, stop, err := dialSlowly(ctx, host)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer stop()
	for n, b := range []byte("GET /photos/" + slowAddress + " HTTP/1.1\r\nHost: x\r\n\r\n") {
		if _, err := conn.Write([]byte{b}); err != nil {
			return n > 1
		}
		if !sleep.For(ctx, time.Second) {
			return n > 0
		}
	}
	return true
}

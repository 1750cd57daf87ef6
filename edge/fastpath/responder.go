package fastpath

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Responder sends the answer to one fast request.
type Responder struct{ c *conn }

// Watch returns a context that ends when the client leaves. Call stop before the answer is
// written. It costs a goroutine: do not call it for answers from memory.
func (w Responder) Watch() (ctx context.Context, stop func()) {
	c := w.c
	ctx, cancel := context.WithCancel(context.Background())
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		cancel()
		return ctx, func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.readUntilEOF(len(c.ahead)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel()
		}
	}()
	return ctx, func() {
		_ = c.SetReadDeadline(past)
		<-done
		cancel()
		c.deadline = time.Time{}
		_ = c.SetReadDeadline(c.deadline)
	}
}

// MoveDeadlines gives the client its time to read the answer and to send the next request. now is the time, or that at
// which the request arrived.
func (w Responder) MoveDeadlines(now time.Time) error {
	c := w.c
	if now.Sub(c.deadline) < deadlineStep {
		return nil
	}
	if c.deadline.IsZero() { // net/http has had the connection, or the answer took a while
		now = time.Now()
	}
	c.deadline = now
	if err := c.Conn.SetReadDeadline(now.Add(c.server.cfg.IdleTimeout + deadlineStep)); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(now.Add(c.server.cfg.WriteTimeout + deadlineStep))
}

// Closing reports that the connection is closed after this answer, which must say so.
func (w Responder) Closing() bool {
	return w.c.server.stopping.Load() || w.c.state.Load() == connClosed
}

// Write writes bytes of the answer, its header included.
func (w Responder) Write(b []byte) (int, error) { return w.c.Conn.Write(b) }

// SetWriteDeadline sets the time at which a Write fails.
func (w Responder) SetWriteDeadline(t time.Time) error { return w.c.Conn.SetWriteDeadline(t) }

// RemoteAddr is the client's address.
func (w Responder) RemoteAddr() net.Addr { return w.c.RemoteAddr() }

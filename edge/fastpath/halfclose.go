package fastpath

import (
	"io"
	"os"
	"time"
)

// halfCloseGrace is how long a client that has sent a FIN counts as waiting for its answer. A client that closes the
// connection sends a FIN too; after the grace period it counts as left, and a fetch for which no other request waits is
// cancelled. A reset counts as a disconnect at once.
const halfCloseGrace = 2 * time.Second

// delayEOF delays the end of what a client sends until the answer is written or the grace period is over. It returns
// what Read returns then: an error of a deadline, or io.EOF.
func (c *conn) delayEOF() error {
	c.server.cfg.HalfClosed()
	grace := time.NewTimer(halfCloseGrace)
	defer grace.Stop()
	for !c.interrupted.Load() {
		select {
		case <-c.woken:
		case <-grace.C:
			return io.EOF
		}
	}
	return os.ErrDeadlineExceeded
}

// SetReadDeadline also ends delayEOF if t has passed: so net/http and the fast path end a Read that waits for a
// disconnect.
func (c *conn) SetReadDeadline(t time.Time) error {
	if t.IsZero() || t.After(time.Now()) {
		c.interrupted.Store(false)
	} else {
		c.interrupt()
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) interrupt() {
	c.interrupted.Store(true)
	c.wake()
}

package edge

import (
	"io"
	"os"
	"time"
)

// halfCloseGrace is how long a visitor who has sent a FIN counts as waiting for the answer. A browser that closes the connection sends a
// FIN too. A visitor without an answer after the grace has left: a fetch that nobody else waits for is cancelled. A reset counts at once.
const halfCloseGrace = 2 * time.Second

// hold delays the end of what a visitor sends until the answer has been written or the grace is over. It returns an error as Read does:
// a deadline has passed, or io.EOF.
func (c *expressConn) hold() error {
	c.express.server.meters.halfClosed.Inc()
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

// SetReadDeadline also ends a hold if t has passed. That is how net/http and the express end a Read that watches for a visitor who leaves.
func (c *expressConn) SetReadDeadline(t time.Time) error {
	if t.IsZero() || t.After(time.Now()) {
		c.interrupted.Store(false)
	} else {
		c.interrupt()
	}
	return c.Conn.SetReadDeadline(t)
}

// interrupt ends a hold.
func (c *expressConn) interrupt() {
	c.interrupted.Store(true)
	select {
	case c.woken <- struct{}{}:
	default: // it will look anyway
	}
}

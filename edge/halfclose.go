package edge

import (
	"io"
	"os"
	"time"
)

// halfCloseGrace is how long a visitor who has sent a FIN is taken for one who asks for nothing more and waits for the answer. A browser
// that closes the connection sends the same: whoever has no answer by then counts as having left, so that what nobody waits for is
// cancelled. A reset of the connection counts at once.
const halfCloseGrace = 2 * time.Second

// hold keeps the end of what a visitor sends from whoever reads, until the answer is there or the grace is over. It returns an error as
// Read does: a deadline has passed, or io.EOF.
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
	c.interrupted.Store(!t.IsZero() && !t.After(time.Now()))
	if c.interrupted.Load() {
		select {
		case c.woken <- struct{}{}:
		default: // it will look anyway
		}
	}
	return c.Conn.SetReadDeadline(t)
}

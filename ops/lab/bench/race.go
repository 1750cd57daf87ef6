package bench

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"
)

// connectPatience is after how long without a connection a browser tries the next address too (RFC 8305).
const connectPatience = 250 * time.Millisecond

// errNoConnection: another edge was faster. Whether this one would have answered is not known.
var errNoConnection = errors.New("no connection, and another edge gave one")

// race connects to the edge at hand, and also to the next one whenever one has failed or a moment has passed, as
// browsers do. The first connection is taken.
func (c *http1) race(ctx context.Context) (*http1Conn, error) {
	racing, end := context.WithCancel(ctx)
	defer end()
	type outcome struct {
		at   int32
		conn net.Conn
		err  error
	}
	first, n := c.at.Load(), int32(len(c.edges))
	outcomes := make(chan outcome, n) // nobody waits to say what came of it
	next := time.NewTimer(0)
	defer next.Stop()
	var begun, ended int32
	errs := make([]error, n)
	for ended < n {
		select {
		case <-next.C:
			at := (first + begun) % n
			begun++
			go func() { // it ends with the race
				conn, err := c.connect(racing, c.edges[at])
				outcomes <- outcome{at, conn, err}
			}()
			if begun < n {
				next.Reset(cmp.Or(c.cfg.raceAfter, connectPatience))
			}
		case o := <-outcomes:
			ended++
			if o.err == nil {
				end()
				for ; ended < begun; ended++ { // they have been cut
					if late := <-outcomes; late.err == nil {
						_ = late.conn.Close()
					}
				}
				for at := first; at != o.at; at = (at + 1) % n {
					c.tries.add(c.edges[at].url, cmp.Or(errs[at], error(&failure{kindConnect, errNoConnection})))
				}
				c.at.CompareAndSwap(first, o.at)
				return c.newConn(ctx, o.at, o.conn), nil
			}
			errs[o.at] = o.err
			if begun < n {
				next.Reset(0)
			}
		}
	}
	return nil, errs[first]
}

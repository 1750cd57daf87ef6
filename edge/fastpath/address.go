package fastpath

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Counted is a connection that counts together with others: with those of one client's address.
type Counted interface {
	// Address is what they share; nil: the connection is a proxy's and counts by itself, and its requests do not count.
	Address() *Address
}

// Address is what the connections of one client's address share. The zero value is one that has no connections yet.
type Address struct {
	underWay atomic.Int64 // requests of HTTP/2 that net/http has now

	mu   sync.Mutex
	next time.Time // when its next turn begins
	debt time.Time // until when it is in debt

	bodies int64         // bytes, see held
	room   chan struct{} // closed when there are at most mostHeld of them; nil: nobody waits
}

// An address whose connections send frames that earn nothing gets turns: they read a few frames each, and sleep until
// then. What an address may have read so is the same for one connection and for a thousand.
const (
	frameTime     = time.Millisecond // from a turn to the next, for each frame of the turn: about 1% of a processor
	handshakeCost = 16               // frames: about as much processor time as a handshake of TLS
	longestWait   = 10 * time.Second // for a turn; a client that has to wait longer is ended
	debtTime      = time.Minute      // since its last turn, or since a connection of it was ended
)

// turn returns how long a connection must wait until it may go on with some frames. false: too long.
func (a *Address) turn(now time.Time, frames int) (wait time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.debt = now.Add(debtTime)
	if a.next.Before(now) {
		a.next = now
	}
	if wait = a.next.Sub(now); wait > longestWait {
		return 0, false
	}
	a.next = a.next.Add(time.Duration(frames) * frameTime)
	return wait, true
}

// Offends notes that a client at the address has broken the rules, so that its connection ends: it is in debt.
func (a *Address) Offends(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.debt = now.Add(debtTime)
}

// InDebt reports whether the address has lately had to wait, or lost a connection, because of what it sent. Its new
// connections begin with less, and in turns.
func (a *Address) InDebt(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.debt)
}

// errTooMuch: a client that is in debt would have to wait too long.
var errTooMuch = errors.New("the turn of the client is too far away")

// wait waits for a turn of the address, or until enough returns true, which it asks when the connection is woken. It
// returns errTooMuch, or an error if the connection is closed.
func (c *conn) wait(frames int, enough func() bool) error {
	wait, ok := c.address.turn(time.Now(), frames)
	if !ok {
		return errTooMuch
	}
	c.server.cfg.Paced()
	_, err := c.sleep(wait, nil, enough)
	return err
}

// sleep waits until a channel is closed, or until enough returns true. early: one of them was so before the time was
// over. An error says that the connection is closed.
func (c *conn) sleep(most time.Duration, end <-chan struct{}, enough func() bool) (early bool, err error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for !enough() {
		select {
		case <-c.woken:
			if c.interrupted.Load() {
				return true, os.ErrDeadlineExceeded
			}
		case <-end:
			return true, nil
		case <-timer.C:
			return false, nil
		}
	}
	return true, nil
}

// wake has wait and delayEOF look again.
func (c *conn) wake() {
	select {
	case c.woken <- struct{}{}:
	default: // a notification is already waiting
	}
}

package fastpath

import (
	"sync"
	"time"
)

// ConnBuffer is what net/http must keep at most, of one connection of HTTP/2, of bodies that nobody has read, in bytes:
// the window that it gives a client for all streams.
const ConnBuffer = 1 << 20

// Bounds of what net/http keeps of bodies that clients at one address send by HTTP/2, in bytes. Beyond mostHeld those
// connections wait of which it keeps more than alwaysHeld.
const (
	mostHeld   = 64 << 20
	alwaysHeld = 2 * LargestFrame // a frame, and the parts that were read but count
	heldWait   = 60 * time.Second // as long as an upload waits for memory; then the connection ends
)

// held counts what net/http keeps of the bodies of one connection. Parts of less than 4 KiB that were read count, too:
// net/http tells the client of more at once.
type held struct {
	address *Address

	mu     sync.Mutex
	bytes  int64
	begun  bool // net/http has made its window as large as it wants it
	closed bool
}

// take counts a part of a body that net/http is to keep, and returns nil; or else what is closed when its address has
// less. net/http refuses what is beyond ConnBuffer, and keeps nothing of it.
func (h *held) take(n int) (room <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := min(int64(n), max(0, ConnBuffer-h.bytes))
	if h.closed || kept == 0 {
		return nil
	}
	if room = h.address.take(kept, h.bytes+kept <= alwaysHeld); room == nil {
		h.bytes += kept
	}
	return room
}

// read notes that net/http gives the client a part of the window of the connection back. The first part enlarges it.
func (h *held) read(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n = min(n, h.bytes); h.begun && !h.closed {
		h.bytes -= n
		h.address.held(-n)
	}
	h.begun = true
}

// close notes that the connection is closed. It may be called again.
func (h *held) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed = true; h.bytes > 0 {
		h.address.held(-h.bytes)
		h.bytes = 0
	}
}

// much reports whether the connection has to wait while its address has too much.
func (h *held) much(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes+int64(n) > alwaysHeld
}

// held adds to what net/http keeps of bodies, and lets connections go on that wait until it is less.
func (a *Address) held(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bodies += n; a.bodies <= mostHeld && a.room != nil {
		close(a.room)
		a.room = nil
	}
}

// take counts n bytes more that net/http is to keep, if these are not too many or always taken, and returns nil. Or
// else it returns what is closed when there are less.
func (a *Address) take(n int64, always bool) (room <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if always || a.bodies+n <= mostHeld {
		a.bodies += n
		return nil
	}
	if a.room == nil {
		a.room = make(chan struct{})
	}
	return a.room
}

// hold waits until net/http may keep a further part of a body. It returns errTooMuch if that takes too long, or an
// error if the connection is closed.
func (f *http2Filter) hold(n int) error {
	var until time.Time
	for room := f.c.held.take(n); room != nil; room = f.c.held.take(n) {
		if until.IsZero() {
			if err := f.out.flush(); err != nil {
				return err
			}
			until = time.Now().Add(heldWait)
			f.c.server.cfg.Paced()
		}
		early, err := f.c.sleep(time.Until(until), room, func() bool { return !f.c.held.much(n) })
		if err == nil && !early {
			err = errTooMuch
		}
		if err != nil {
			return err
		}
	}
	return nil
}

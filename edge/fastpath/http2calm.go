package fastpath

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// calm bounds what a client may send without taking or bringing anything: a flood of any kind of frame. Each frame
// costs one, and so does a stream that the server has to reset. Answers and the bytes of bodies, in both directions,
// earn frames, and so does time. So a client that makes requests and takes the answers never comes to the end, however
// fast it is; one that resets its requests does. A frame that brings a part of a body earns what it costs, however
// short it is: for a stream that has ended the reset costs.
type calm struct {
	left  int       // frames
	since time.Time // when time was last counted
}

const (
	mostFrames      = 5000 // that a client may be ahead
	framesPerAnswer = 16   // earned by an answer without a body
	bytesPerFrame   = 64   // of a body
	framesPerSecond = 100  // so a reader may pass 50 pictures a second, and reset each
)

func newCalm(now time.Time) calm { return calm{mostFrames, now} }

// takes counts a frame of the client. It returns false when the client has sent too many. now is asked for the time
// once in a while, and earned is what was earned since the time before.
func (c *calm) takes(earned *atomic.Int64, now func() time.Time) bool {
	if c.left--; c.left > 0 {
		return true
	}
	at := now()
	more := earned.Swap(0) + int64(at.Sub(c.since).Seconds()*framesPerSecond)
	c.left, c.since = int(min(more, mostFrames)), at
	return c.left > 0
}

// ofBody is what a DATA frame of the client earns. Of one with padding it is not known whether it brings anything.
func ofBody(flags http2.Flags, length int) int64 {
	earned := int64(length / bytesPerFrame)
	if length > 0 && !flags.Has(http2.FlagDataPadded) {
		earned++
	}
	return earned
}

// errEnds ends a connection of which the client has broken the rules where net/http could not notice.
type errEnds http2.ErrCode

func (e errEnds) Error() string {
	return fmt.Sprintf("the client does not keep to HTTP/2: %v", http2.ErrCode(e))
}

// end tells the client why the connection ends, and returns what Read returns then.
func (f *http2Filter) end(code http2.ErrCode) error {
	f.out.goAway(f.last, code)
	f.discard()
	f.c.server.cfg.Log.Debug("a connection of HTTP/2 ends", "from", f.c.RemoteAddr(), "why", code)
	return errEnds(code)
}

// Bounds of what is read of a client that was told why its connection ends. net/http waits as long.
const (
	discardTime  = time.Second
	discardBytes = 1 << 20
)

// discard reads what the client still sends, and leaves it encrypted. A connection that is closed while bytes of it are
// unread is reset, and what the client was told last may be lost.
func (f *http2Filter) discard() {
	under := f.c.Conn
	if encrypted, ok := under.(*tls.Conn); ok {
		under = encrypted.NetConn()
	}
	if under.SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return
	}
	for left := discardBytes; left > 0; {
		n, err := under.Read(f.buf)
		if err != nil {
			return
		}
		left -= n
	}
}

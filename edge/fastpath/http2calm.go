package fastpath

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// calm bounds what a client may send without taking or bringing anything: a flood of any kind of frame. Each frame
// costs one, and so does a stream that the server has to reset; a long header block costs more. Answers and the bytes
// of bodies, in both directions, earn frames, and so does time. So a client that makes requests and takes the answers
// never comes to the end, however fast it is; one that resets its requests does. A frame that brings a part of a body
// earns what it costs, however short it is: for a stream that has ended the reset costs.
//
// A client that has nothing left is in debt. It goes on in turns, which its address has for all its connections, or
// once answers that come meanwhile have paid. When it owes too much its connection ends.
type calm struct {
	left  int       // frames that are settled and not read
	since time.Time // when time was last counted
}

const (
	batch           = 16   // frames that are settled together
	freeFrames      = 100  // that a client may be ahead before it is in debt
	freeInDebt      = 20   // likewise, while its address is in debt
	mostFrames      = 5000 // that a client may owe, and of what it has earned may keep
	framesPerAnswer = 16   // earned by an answer without a body
	bytesPerFrame   = 64   // of a body
	blockPerFrame   = 256  // bytes of a header block, each of which may stand for 4 KiB
	framesPerSecond = 100  // so a reader may pass 50 pictures a second, and reset each
)

// free is how many frames a connection may be ahead.
func (a *Address) free(now time.Time) int64 {
	if a.InDebt(now) {
		return freeInDebt
	}
	return freeFrames
}

// settle takes the next batch, and what was read beyond the last one, from a balance. It returns what is left, below 0
// what the client owes, and how much was taken.
func (c *calm) settle(balance *atomic.Int64) (left int64, cost int) {
	cost = batch - c.left - 1
	c.left = batch - 1
	if left = balance.Add(-int64(cost)); left > mostFrames {
		left = balance.Add(mostFrames - left)
	}
	return left, cost
}

// credit adds what time has earned to a balance below 0, which may then be as much as is free.
func (c *calm) credit(balance *atomic.Int64, now time.Time, free int64) (left int64) {
	earned := int64(now.Sub(c.since) / (time.Second / framesPerSecond))
	c.since = c.since.Add(time.Duration(earned) * time.Second / framesPerSecond)
	return balance.Add(max(0, min(earned, free-balance.Load())))
}

// settle settles the next batch of frames. A client in debt waits until its turn, or until it is no longer. Time pays
// too, but what many connections earn by that does not spare them their turns.
func (f *http2Filter) settle() error {
	left, cost := f.calm.settle(&f.out.balance)
	if left >= 0 {
		return nil
	}
	if now := time.Now(); !f.c.address.InDebt(now) && f.calm.credit(&f.out.balance, now, freeFrames) >= 0 {
		return nil
	}
	if err := f.out.flush(); err != nil {
		return err
	}
	switch err := f.c.wait(cost, func() bool { return f.out.balance.Load() >= 0 }); {
	case errors.Is(err, errTooMuch):
		return f.end(http2.ErrCodeEnhanceYourCalm)
	case err != nil:
		return err
	}
	if f.calm.credit(&f.out.balance, time.Now(), 0) < -mostFrames {
		return f.end(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
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
	f.c.address.Offends(time.Now())
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

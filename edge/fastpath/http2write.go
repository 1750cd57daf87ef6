package fastpath

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// frameWriter writes the frames of net/http and, between them, the answers of the filter. Several answers are one
// write, and so one record of TLS.
type frameWriter struct {
	c *conn

	mu      sync.Mutex
	head    [frameHead + 8]byte // of net/http's current frame, with the beginning of its payload if that is read here
	known   int                 // bytes of head that are known
	more    int                 // bytes of the payload that are read here
	left    int                 // bytes of that frame that are not written
	inBlock bool                // a header block of net/http goes on in its next frame
	begun   bool                // net/http has sent its first frame, which must be the first one
	out     []byte              // answers, in room
	room    *[]byte             // of rooms; nil: there are none
	size    atomic.Int64        // of out, in bytes
	sent    chan struct{}       // of goAway, which waits until out is sent; nil: it does not
	leaving atomic.Bool         // net/http has said that it takes no further requests
	balance atomic.Int64        // in frames, see calm
}

// LargestFrame is the payload that every client takes, and that net/http must take at most, in bytes.
const LargestFrame = 16 << 10

// write is Write for net/http.
func (w *frameWriter) write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow(b)
	if len(w.out) == 0 || !w.between() {
		return w.send(b)
	}
	n, err := w.send(b)
	if err == nil {
		_, err = w.send(w.out)
		w.empty()
	}
	if w.sent != nil {
		close(w.sent)
		w.sent = nil
	}
	return n, err
}

// slowest is the rate at which a client must take what is sent, in bytes a second, after WriteTimeout.
const slowest = 1600

// send writes bytes, within the time that a slow client may take. w.mu is held.
func (w *frameWriter) send(b []byte) (int, error) {
	limit := w.c.server.cfg.WriteTimeout + time.Duration(len(b))*time.Second/slowest
	if err := w.c.Conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return 0, err
	}
	n, err := w.c.Conn.Write(b)
	if err != nil {
		return n, err
	}
	return n, w.c.Conn.SetWriteDeadline(time.Time{})
}

// rooms are for answers that wait. Connections that send nothing have none.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// makeRoom makes room for answers. w.mu is held.
func (w *frameWriter) makeRoom() {
	if w.room == nil {
		w.room = rooms.Get().(*[]byte)
		w.out = *w.room
	}
}

// empty notes that the answers are sent. w.mu is held.
func (w *frameWriter) empty() {
	if w.room != nil {
		*w.room = w.out[:0]
		rooms.Put(w.room)
	}
	w.room, w.out = nil, nil
	w.size.Store(0)
}

// follow keeps track of where the frames of net/http begin and end.
func (w *frameWriter) follow(b []byte) {
	for len(b) > 0 {
		if w.left > 0 {
			n := min(w.left, len(b))
			w.left, b = w.left-n, b[n:]
			continue
		}
		n := copy(w.head[w.known:frameHead+w.more], b)
		w.known, b = w.known+n, b[n:]
		kind, length := http2.FrameType(w.head[3]), int(w.head[0])<<16|int(w.head[1])<<8|int(w.head[2])
		if w.known == frameHead && w.more == 0 {
			w.more = ofPayload(kind, length)
		}
		if w.known < frameHead+w.more {
			continue // perhaps the rest comes with the next write
		}
		w.left, w.known, w.more, w.begun = length-w.more, 0, 0, true
		payload := w.head[frameHead:]
		switch kind {
		case http2.FrameHeaders, http2.FrameContinuation:
			w.inBlock = !http2.Flags(w.head[4]).Has(http2.FlagHeadersEndHeaders)
			w.earn(framesPerAnswer)
		case http2.FrameData:
			w.earn(int64(w.left / bytesPerFrame))
		case http2.FrameRSTStream:
			w.balance.Add(-1)
		case http2.FrameGoAway:
			w.leaving.Store(true)
			if binary.BigEndian.Uint32(payload[4:]) != uint32(http2.ErrCodeNo) {
				w.c.address.Offends(time.Now())
			}
		case http2.FrameWindowUpdate:
			if binary.BigEndian.Uint32(w.head[5:]) == 0 {
				w.c.held.read(int64(binary.BigEndian.Uint32(payload)))
				w.c.wake()
			}
		}
	}
}

// ofPayload is how many bytes of the payload of net/http's frames are read here.
func ofPayload(kind http2.FrameType, length int) int {
	switch kind {
	case http2.FrameWindowUpdate:
		return min(4, length)
	case http2.FrameGoAway:
		return min(8, length)
	}
	return 0
}

// earn adds to the balance of the client, and wakes one that waits because it is in debt.
func (w *frameWriter) earn(frames int64) {
	if now := w.balance.Add(frames); now >= 0 && now < frames {
		w.c.wake()
	}
}

// between reports whether net/http is not within a frame or a header block.
func (w *frameWriter) between() bool { return w.begun && w.known == 0 && w.left == 0 && !w.inBlock }

// flush sends the answers, unless net/http must end its frame first, and sends them then.
func (w *frameWriter) flush() error {
	if w.size.Load() == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) == 0 || !w.between() {
		return nil
	}
	_, err := w.send(w.out)
	w.empty()
	return err
}

// waiting is how many bytes of answers are not sent.
func (w *frameWriter) waiting() int { return int(w.size.Load()) }

// add adds an answer.
func (w *frameWriter) add(stream uint32, block, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.makeRoom()
	w.earn(int64(framesPerAnswer + len(body)/bytesPerFrame))
	flags := http2.FlagHeadersEndHeaders
	if len(body) == 0 {
		flags |= http2.FlagHeadersEndStream
	}
	w.out = append(appendFrameHead(w.out, len(block), http2.FrameHeaders, flags, stream), block...)
	for len(body) > 0 {
		n := min(len(body), LargestFrame)
		var last http2.Flags
		if n == len(body) {
			last = http2.FlagDataEndStream
		}
		w.out = append(appendFrameHead(w.out, n, http2.FrameData, last, stream), body[:n]...)
		body = body[n:]
	}
	w.size.Store(int64(len(w.out)))
}

// goAwayWait is how long goAway waits for net/http to end its frame.
const goAwayWait = time.Second

// goAway says why the connection ends, after the answers that wait.
func (w *frameWriter) goAway(last uint32, code http2.ErrCode) {
	w.mu.Lock()
	if !w.begun { // the first frame must be this one
		w.out = appendFrameHead(w.out, 0, http2.FrameSettings, 0, 0)
		w.begun = true
	}
	w.out = appendFrameHead(w.out, 8, http2.FrameGoAway, 0, 0)
	w.out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(w.out, last), uint32(code))
	if w.between() {
		_, _ = w.send(w.out) // the connection ends
		w.empty()
		w.mu.Unlock()
		return
	}
	sent := make(chan struct{})
	w.sent = sent
	w.mu.Unlock()
	wait := time.NewTimer(goAwayWait)
	defer wait.Stop()
	select {
	case <-sent:
	case <-wait.C:
	}
}

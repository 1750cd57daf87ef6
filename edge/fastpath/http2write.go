package fastpath

import (
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// frameWriter writes the frames of net/http and, between them, the answers of the filter. Several answers are one
// write, and so one record of TLS.
type frameWriter struct {
	c *conn

	mu      sync.Mutex
	head    [frameHead]byte // of net/http's current frame
	known   int             // bytes of head that are known
	left    int             // bytes of that frame that are not written
	inBlock bool            // a header block of net/http goes on in its next frame
	begun   bool            // net/http has sent its first frame, which must be the first one
	out     []byte          // answers
}

// LargestFrame is the payload that every client takes, and that net/http must take at most, in bytes.
const LargestFrame = 16 << 10

// write is Write for net/http.
func (w *frameWriter) write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow(b)
	if len(w.out) == 0 || !w.between() {
		return w.c.Conn.Write(b)
	}
	all := append(append(make([]byte, 0, len(b)+len(w.out)), b...), w.out...)
	w.out = w.out[:0]
	n, err := w.c.Conn.Write(all)
	return min(n, len(b)), err
}

// follow keeps track of where the frames of net/http begin and end.
func (w *frameWriter) follow(b []byte) {
	for len(b) > 0 {
		if w.left > 0 {
			n := min(w.left, len(b))
			w.left, b = w.left-n, b[n:]
			continue
		}
		n := copy(w.head[w.known:], b)
		w.known, b = w.known+n, b[n:]
		if w.known < frameHead {
			return
		}
		w.known, w.begun = 0, true
		w.left = int(w.head[0])<<16 | int(w.head[1])<<8 | int(w.head[2])
		switch http2.FrameType(w.head[3]) {
		case http2.FrameHeaders, http2.FrameContinuation:
			w.inBlock = !http2.Flags(w.head[4]).Has(http2.FlagHeadersEndHeaders)
		}
	}
}

// between reports whether net/http is not within a frame or a header block.
func (w *frameWriter) between() bool { return w.begun && w.known == 0 && w.left == 0 && !w.inBlock }

// flush sends the answers, unless net/http must end its frame first, and sends them then.
func (w *frameWriter) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) == 0 || !w.between() {
		return nil
	}
	if err := w.c.Conn.SetWriteDeadline(time.Now().Add(w.c.server.cfg.WriteTimeout)); err != nil {
		return err
	}
	_, err := w.c.Conn.Write(w.out)
	if err != nil {
		return err
	}
	if w.out = w.out[:0]; cap(w.out) > largestBody {
		w.out = nil
	}
	return w.c.Conn.SetWriteDeadline(time.Time{}) // net/http has none
}

// waiting is how many bytes of answers are not sent.
func (w *frameWriter) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out)
}

// add adds an answer.
func (w *frameWriter) add(stream uint32, block, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
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
}

package fastpath

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// refuses refuses a request if too many are under way. A refused stream had no effect, RFC 9113 says, so clients try
// it again. About as many are let in: a request counts once its handler runs.
func (f *http2Filter) refuses(h *headers) bool {
	cfg := &f.c.server.cfg
	if !f.c.counted || f.c.address.underWay.Load() < int64(cfg.AddressRequests) {
		return false
	}
	if !h.end {
		f.refused = h.stream
	}
	f.out.addFrame(http2.FrameRSTStream, h.stream, uint32(http2.ErrCodeRefusedStream))
	cfg.Refused(f.c.RemoteAddr())
	return true
}

// wasRefused reports whether the rest of a refused request may come on a stream. net/http does not know it; once it
// knows a later one, it says itself that this one is closed.
func (f *http2Filter) wasRefused(stream uint32) bool { return f.isOurs(stream) && stream <= f.refused }

// giveBack gives the client back what it used of the window of the connection for a body that is not read.
func (f *http2Filter) giveBack(n int) {
	if n > 0 {
		f.out.addFrame(http2.FrameWindowUpdate, 0, uint32(n))
	}
}

// addFrame adds a frame whose payload is a number.
func (w *frameWriter) addFrame(kind http2.FrameType, stream, payload uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.makeRoom()
	w.out = binary.BigEndian.AppendUint32(appendFrameHead(w.out, 4, kind, 0, stream), payload)
	w.size.Store(int64(len(w.out)))
}

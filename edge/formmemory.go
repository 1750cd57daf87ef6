package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"sync"
)

// errFormsFull: an address sends more forms at once than an edge keeps of it. 503.
var errFormsFull = errors.New("the forms of one address that are being read are too large together")

// mostForms is what an edge keeps of the forms of one address, from the first byte of a form to its answer, in bytes:
// 128 forms as large as they may be, or thousands of usual ones.
const mostForms = 16 << 20

// formMemory counts the bytes of forms, by address.
type formMemory struct {
	mu   sync.Mutex
	held map[netip.Prefix]int
}

func newFormMemory() *formMemory { return &formMemory{held: map[netip.Prefix]int{}} }

// take counts further bytes. false: these are too many, and do not count.
func (m *formMemory) take(from netip.Prefix, n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[from]+n > mostForms {
		return false
	}
	m.held[from] += n
	return true
}

func (m *formMemory) give(from netip.Prefix, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[from] -= n; m.held[from] == 0 {
		delete(m.held, from)
	}
}

// countedForm is the body of a form whose bytes count.
type countedForm struct {
	io.Reader
	memory *formMemory
	from   netip.Prefix

	mu    sync.Mutex
	bytes int
	gone  bool // the request is answered, or its client has left
}

// Read returns an error once the bytes count no more: what a client has sent before it left can still be read then.
func (f *countedForm) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return 0, context.Canceled
	}
	if !f.memory.take(f.from, n) {
		return 0, errFormsFull
	}
	f.bytes += n
	return n, err
}

func (f *countedForm) giveBack() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	f.memory.give(f.from, f.bytes)
}

// counted is a body of a form of a request. Its bytes count until the request is answered or its client leaves, unless
// they come from a trusted proxy that does not say where its client is.
func (s *Server) counted(r *http.Request, body io.Reader) io.Reader {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || s.proxies.Contains(from.Addr()) {
		return body
	}
	f := &countedForm{Reader: body, memory: s.forms, from: network(from.Addr())}
	context.AfterFunc(r.Context(), f.giveBack)
	return f
}

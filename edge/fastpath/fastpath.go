package fastpath

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Handler answers fast requests.
type Handler interface {
	// ServeFast answers a request and returns ReasonNone, or has written nothing and returns why net/http must answer
	// it. An error closes the connection. r is valid until it returns.
	ServeFast(w Responder, r *Request) (Reason, error)
	// ServeNear answers a request of HTTP/2 at once, or has done nothing and returns false: net/http must answer it. r
	// is valid until it returns.
	ServeNear(w Stream, r *Request) bool
}

// Config is what a [Server] needs. All fields but Off, MaxConns, and those for [Counted]
// connections are required.
type Config struct {
	Handler  Handler
	Off      bool // net/http answers every request
	MaxConns int  // connections open at once; 0: any number
	// For Counted connections: requests of HTTP/2 under way at once of an address, and who is told of one too many.
	AddressRequests int
	Refused         func(net.Addr)
	Paced           func() // counts waits of connections whose address is in debt

	IdleTimeout   time.Duration // for the next request
	HeaderTimeout time.Duration // for a request's header, once net/http has the request
	WriteTimeout  time.Duration // for an answer, unless the handler sets another one
	ErrorHeader   []byte        // lines, each after CRLF, for the errors that net/http answers by itself
	Delegated     func(Reason)  // counts requests that net/http answers
	HalfClosed    func()        // counts clients that closed their direction of the connection before their answer
	Log           *slog.Logger
}

// Server is the fast path of one http.Server.
type Server struct {
	cfg      Config
	draining atomic.Bool
	stopping atomic.Bool
	// slots has room for one token for each open connection; nil: any number. netutil.LimitListener would do the same,
	// but its connections would hide CloseWrite and the type conn from net/http.
	slots chan struct{}
	shut  chan struct{} // closed with the listener
	once  sync.Once     // closes shut

	mu    sync.Mutex
	conns map[*conn]struct{}
	empty chan struct{} // capacity 1: conns has become empty
}

// New returns a fast path. Use [Server.Listener], [Server.Wrap], [Server.ConnState] and [Server.ConnContext] with the
// same http.Server.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, conns: map[*conn]struct{}{}, empty: make(chan struct{}, 1), shut: make(chan struct{})}
	if cfg.MaxConns > 0 {
		s.slots = make(chan struct{}, cfg.MaxConns)
	}
	return s
}

// connKey is the key of a connection in the contexts of its requests. net/http offers no other way from a request to
// its connection, and only Wrap uses it.
type connKey struct{}

// ConnContext is for [http.Server.ConnContext].
func (s *Server) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// ConnState is for [http.Server.ConnState]: when net/http is done with a request, the fast path reads the next one.
func (s *Server) ConnState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	switch {
	case ok && state == http.StateActive:
		c.busy.Store(true)
	case ok && state == http.StateIdle:
		c.begun.Store(true)
		c.busy.Store(false)
		c.handled.Store(false)
		c.deadline = time.Time{}
		if !c.state.CompareAndSwap(connDelegated, connWaiting) && c.reason != ReasonUnparsed {
			c.reason = ReasonUnparsed // watchClient has given the connection to net/http
		}
	}
}

// Wrap returns a handler for the http.Server. It counts why each request was delegated.
func (s *Server) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(*conn)
		switch {
		case s.cfg.Off:
			s.cfg.Delegated(ReasonOff)
		case r.ProtoMajor == 2:
			s.cfg.Delegated(ReasonHTTP2)
			c.address.underWay.Add(1)
			defer c.address.underWay.Add(-1)
		default:
			s.cfg.Delegated(c.reason)
		}
		c.begun.Store(true)
		c.handled.Store(true)
		next.ServeHTTP(w, r)
	})
}

package edge

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/schema/wire"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
)

// Config is what an edge is told. Only NATS is required.
type Config struct {
	Addr        string // where to listen, host:port; "" is 127.0.0.1:8080, port 0 any free one
	NATS        *nats.Conn
	Memcached   []string      // host:port of each server; none: every miss goes to the bus
	Origins     []string      // where visitors reach the site, such as https://photos.example; see origins
	TLSCert     string        // files; both or neither. Without them HTTP/1.1 and HTTP/2 without TLS (h2c) are spoken
	TLSKey      string        //
	NearBytes   int           // size of the in-process cache, 0 is 64 MiB, negative none
	MaxConns    int           // connections open at once, 0 is 10,000; a further one waits until another closes
	HotEvery    time.Duration // how often the list of popular pages is kept, 0 is 10 s
	StopTimeout time.Duration // how long requests may take to finish when stopping, 0 is 15 s
	NoFastPath  bool          // net/http answers all requests, also those that the fast path could answer
	Version     string        // semantic version for `nats micro ls`, "" is 0.0.0
	Logger      *slog.Logger  // nil is slog.Default
	AccessLog   *slog.Logger  // a line for each answer; nil is none
	// nil: metrics are kept but nowhere shown
	Registry prometheus.Registerer
}

// defaultMaxConns is the default of Config.MaxConns.
const defaultMaxConns = 10_000

// idleTimeout is how long a connection is kept open for the next request.
const idleTimeout = 60 * time.Second

// headerTimeout is how long a request's head may take.
const headerTimeout = 5 * time.Second

// Server is an edge.
type Server struct {
	cfg        Config
	log        *slog.Logger
	lis        net.Listener
	http       *http.Server
	express    *express
	origins    origins
	near       *nearCache
	cache      *sharedCache
	bus        *bus
	fresh      *freshness
	cookies    *freshCookies
	follow     *follower
	calls      *calls
	heat       *heat
	hot        *hot
	keep       *keeper
	errs       *errorPages
	meters     *meters
	counts     counts
	compressor *compressor
	clock      *wire.Clock
	idBase     string // random, so that request ids of two edges differ
	idNext     atomic.Uint64
}

// New makes an edge and begins to listen, so that a taken port is known at once. Run must follow, or Close.
func New(cfg Config) (_ *Server, err error) {
	if cfg.NATS == nil {
		return nil, errors.New("edge: a NATS connection is needed")
	}
	if (cfg.TLSCert == "") != (cfg.TLSKey == "") {
		return nil, errors.New("edge: a TLS certificate and its key are needed together")
	}
	cfg.MaxConns = cmp.Or(cfg.MaxConns, defaultMaxConns)
	s := &Server{cfg: cfg, log: cfg.Logger, clock: &wire.Clock{}, idBase: randomID()}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.log = s.log.With("role", "edge")
	s.meters = newMeters(cfg.Registry)
	s.counts = newCounts()
	s.fresh = newFreshness(s.clock)
	s.cookies = &freshCookies{nc: cfg.NATS, fresh: s.fresh, log: s.log}
	s.follow = newFollower(cfg.NATS, s.fresh, s.meters.changes, s.log)
	s.near = newNearCache(cfg.NearBytes)
	defer func() {
		if err != nil {
			s.near.close() // ends its goroutines
		}
	}()
	s.bus = newBus(cfg.NATS, s.clock, s.meters)
	s.calls = newCalls()
	s.heat = newHeat()
	s.hot = newHot()
	s.compressor = newCompressor()
	s.errs = newErrorPages(s)
	if s.origins, err = newOrigins(cfg.Origins); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if s.cache, err = newSharedCache(cfg.Memcached, s.decode, s.meters, s.log); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	s.express = newExpress(s, cfg.NoFastPath, cfg.MaxConns)
	if s.lis, err = s.listen(); err != nil {
		return nil, err
	}
	s.keep = newKeeper(s)
	s.http = s.newHTTP()
	s.meters.watch(s)
	return s, nil
}

// listen opens the listener, which accepts no more than MaxConns connections at once.
func (s *Server) listen() (net.Listener, error) {
	addr := s.cfg.Addr
	if addr == "" {
		addr = "127.0.0.1:8080"
	}
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("edge: cannot listen on %s: %w", addr, err)
	}
	if s.cfg.TLSCert != "" { // below net/http, the fast path cannot see what lies within TLS
		return netutil.LimitListener(lis, s.cfg.MaxConns), nil
	}
	return expressListener{lis, s.express}, nil
}

func (s *Server) newHTTP() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(s.cfg.TLSCert != "")
	protocols.SetUnencryptedHTTP2(s.cfg.TLSCert == "")
	return &http.Server{
		Handler:     s.routes(),
		ConnState:   connState,
		ConnContext: connContext,
		Protocols:   protocols,

		// it would answer "OPTIONS *" without the headers that all answers have
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  30 * time.Second,
		WriteTimeout:                 30 * time.Second, // large bodies move it forward as they progress, see writeBody
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               16<<10 - 4096, // net/http allows 4096 bytes more than it is told
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: 100},
		// what broken clients do is no error of ours
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// Addr is where the edge listens, host:port.
func (s *Server) Addr() string { return s.lis.Addr().String() }

// Close closes the listener and ends the goroutines of the in-process cache, for a server that will not Run. Metrics
// stay registered.
func (s *Server) Close() error {
	s.near.close()
	return s.lis.Close()
}

// Run serves until ctx ends, then finishes the requests it holds, at most StopTimeout, and waits for all it started. It
// returns nil after an orderly stop.
func (s *Server) Run(ctx context.Context) error {
	unannounce, err := s.announce()
	defer unannounce()
	if err != nil {
		return errors.Join(fmt.Errorf("edge: %w", err), s.Close())
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	s.calls.start(work)
	var wg sync.WaitGroup
	wg.Go(func() { s.follow.run(work) })
	wg.Go(func() { s.cookies.run(work) })
	wg.Go(func() { s.bus.watch(work) })
	wg.Go(func() { s.cache.run(work) })
	wg.Go(func() { s.errs.run(work) })
	wg.Go(func() { newRefiller(s).run(work) })
	wg.Go(func() { s.keep.run(work) })

	served := make(chan error, 1)
	go func() {
		if s.cfg.TLSCert != "" {
			served <- s.http.ServeTLS(s.lis, s.cfg.TLSCert, s.cfg.TLSKey)
		} else {
			served <- s.http.Serve(s.lis)
		}
	}()
	select {
	case err = <-served:
		err = fmt.Errorf("edge: serving: %w", err)
	case <-ctx.Done():
		err = s.shutdown(work)
		<-served
	}
	stopWork()
	s.calls.stop()
	wg.Wait()
	s.near.close()
	return err
}

func (s *Server) shutdown(ctx context.Context) error {
	timeout := s.cfg.StopTimeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.express.stop()
	err := s.http.Shutdown(ctx)
	if err == nil {
		err = s.express.wait(ctx)
	}
	if err != nil {
		_ = s.http.Close() // whoever is left was slower than the bound
		s.express.cut()
		return fmt.Errorf("edge: requests cut after %v: %w", timeout, err)
	}
	return nil
}

// Ready is nil when the edge can answer and knows what changed; otherwise it says what is missing.
func (s *Server) Ready() error {
	switch {
	case !s.cfg.NATS.IsConnected():
		return fmt.Errorf("edge: NATS is %s", s.cfg.NATS.Status())
	case !s.follow.caughtUp.Load():
		return errors.New("edge: has not read the stream CHANGES to its end; a renderer creates it")
	case s.cookies.key.Load() == nil:
		return errors.New("edge: the KV bucket KEYS holds no signing key yet")
	case !s.errs.complete():
		return errors.New("edge: no renderer has answered yet")
	}
	return nil
}

func randomID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

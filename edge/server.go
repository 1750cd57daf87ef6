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
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/download"
	"flickrkillr/edge/encryption"
	"flickrkillr/edge/fastpath"
	"flickrkillr/edge/freshness"
	"flickrkillr/edge/popularity"
	"flickrkillr/edge/proxy"
	"flickrkillr/edge/session"
	"flickrkillr/edge/upload"
	"flickrkillr/schema/page"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Config configures an edge. Only NATS is required.
type Config struct {
	Addr      string       // where to listen, host:port; "": 127.0.0.1:8080; port 0: any free port
	Listener  net.Listener // of TCP, instead of Addr, which others may listen on too; nil: Addr. New takes it over
	NATS      *nats.Conn
	Uploads   *nats.Conn // carries the bytes of uploads, so that no page waits behind them; nil: NATS
	Memcached []string   // host:port of each server; none: every miss goes to the bus
	Origins   []string   // addresses of the site, such as https://photos.example, see origins
	// Certificates for TLS, such as one of ECDSA and one of RSA; none: HTTP/1.1 and HTTP/2 without TLS (h2c).
	Certificates []encryption.KeyPair
	Authority    encryption.Authority // orders certificates instead; none: nobody
	HSTS         HSTS                 // has browsers use nothing but TLS at this host
	Proxies      Proxies
	RedirectAddr string       // where clients without TLS are sent to TLS, host:port; "": nowhere
	Redirects    net.Listener // of TCP, instead of RedirectAddr; nil: RedirectAddr. New takes it over
	MemoryBytes  int          // size of the in-process cache; 0: 64 MiB; negative: none
	MaxConns     int          // connections open at once; 0: 10,000. A further one waits until another closes
	// Connections of one address open at once, and its requests of HTTP/2 under way; 0: 2,500. A further one is closed
	// or refused.
	AddressConns int
	// AddressGuesses is how many forms with a password one address may send in a minute, at all edges; 0: 100;
	// negative: any number, for a proxy in front that shows all visitors at its own address.
	AddressGuesses int
	PopularEvery   time.Duration // how often the popularity list is stored; 0: 10 s
	StopTimeout    time.Duration // how long requests may take to finish when stopping; 0: 15 s
	Patience       time.Duration // how long connections wait in Listener for an edge that is not ready yet; 0: 2 s
	// Drain is for how long the edge still takes requests after the order to stop: Ready fails, and each answer
	// closes its connection. A load balancer that asks for readiness has so long to find another edge. 0: it does not.
	Drain      time.Duration
	NoFastPath bool                  // net/http answers every request
	Version    string                // semantic version for `nats micro ls`; "": 0.0.0
	Logger     *slog.Logger          // nil: no log
	AccessLog  *slog.Logger          // a line for each answer; nil: none
	Registry   prometheus.Registerer // nil: metrics are kept but not shown
}

const (
	defaultAddr         = "127.0.0.1:8080"
	defaultMaxConns     = 10_000
	defaultAddressConns = 2_500
	defaultStopTimeout  = 15 * time.Second
	defaultPatience     = 2 * time.Second
	readyPoll           = 20 * time.Millisecond
	defaultGuesses      = 100
	maxSessions         = 100_000          // kept in memory, with about 400 bytes each
	idleTimeout         = 60 * time.Second // for the next request on a connection
	headerTimeout       = 5 * time.Second  // for a request's header
)

// Server is an edge.
type Server struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	lis     net.Listener
	proxied *proxy.Listener          // below lis; nil: proxies say nothing before a connection's first request
	proxies proxy.Networks           // in front of the edge
	hsts    []string                 // the value of the header field; nil: none
	plain   *redirector              // nil: none
	certs   *encryption.Certificates // nil: none
	ordered *encryption.Ordered      // nil: none
	tickets *encryption.Tickets      // nil: the edge does not encrypt
	fast    *fastpath.Server
	http    *http.Server

	origins origins
	pages   *resolver
	errs    *errorPages
	feed    *freshness.Feed
	tokens  *freshness.Tokens

	sessions    *session.Store
	limits      *session.Limits
	crossOrigin *http.CrossOriginProtection

	uploadBus *renderers
	files     *upload.Service
	forms     *formMemory
	slots     *download.Slots // of what others have
	ownSlots  *download.Slots

	downloading  context.Context // of all downloads
	endDownloads context.CancelFunc
	events       *upload.Events

	counts counts
	date   dateField
	ids    requestIDs

	draining atomic.Bool
	pause    func(context.Context, time.Duration) bool // sleep.For
}

// New makes an edge and begins to listen, so that a taken port is an error at once. Call Run afterwards, or Close.
func New(cfg Config) (_ *Server, err error) {
	if cfg.NATS == nil {
		return nil, errors.New("edge: a NATS connection is needed; set Config.NATS")
	}
	cfg.Addr = cmp.Or(cfg.Addr, defaultAddr)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, defaultMaxConns)
	cfg.AddressConns = cmp.Or(cfg.AddressConns, defaultAddressConns)
	cfg.AddressGuesses = cmp.Or(cfg.AddressGuesses, defaultGuesses)
	cfg.StopTimeout = cmp.Or(cfg.StopTimeout, defaultStopTimeout)
	cfg.Patience = cmp.Or(cfg.Patience, defaultPatience)
	cfg.Version = cmp.Or(cfg.Version, "0.0.0")
	cfg.Uploads = cmp.Or(cfg.Uploads, cfg.NATS)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	s := newServer(cfg)
	defer func() {
		if err != nil {
			s.pages.memory.Close()
		}
	}()
	if err = cfg.checkCertificates(); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if s.origins, err = newOrigins(cfg.Origins); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	for _, origin := range s.origins {
		if err = s.crossOrigin.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
	}
	lookups := cache.MemcachedMetrics{Lookups: s.metrics.lookups, Batch: s.metrics.batch}
	if s.pages.memcached, err = cache.NewMemcached(cfg.Memcached, s.pages.tracker, lookups, s.log); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if s.proxies, err = cfg.Proxies.networks(); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if s.lis, err = s.listen(); err != nil {
		return nil, err
	}
	if s.plain, err = s.newRedirector(); err != nil {
		return nil, errors.Join(err, s.lis.Close())
	}
	s.pages.popularity = popularity.New(popularity.Config{
		NATS: cfg.NATS, Tracker: s.pages.tracker, Memory: s.pages.memory, Fill: s.pages.memcached.Enabled(),
		ListKey: listKey(s.Addr()), ListEvery: cfg.PopularEvery, Fills: s.metrics.fills, Refills: s.metrics.refills,
		Log: s.log,
	})
	s.metrics.watch(s.pages)
	return s, nil
}

// newServer makes the parts that cannot fail.
func newServer(cfg Config) *Server {
	log, clock, m := cfg.Logger.With("role", "edge"), &wire.Clock{}, newMetrics(cfg.Registry)
	tracker := freshness.New(clock)
	s := &Server{
		cfg: cfg, log: log, metrics: m, counts: newCounts(), ids: requestIDs{edge: randomID()}, pause: sleep.For,
		feed: freshness.NewFeed(cfg.NATS, tracker, freshness.FeedMetrics{
			Delay: m.changes, Unreadable: m.unreadable, Pauses: m.pauses,
		}, log),
		tokens: freshness.NewTokens(cfg.NATS, tracker, log),
		sessions: session.New(session.Config{
			NATS: cfg.NATS, Clock: clock, Awake: tracker.Awake, Log: log, Capacity: maxSessions,
		}),
		limits:      session.NewLimits(cfg.NATS, clock),
		crossOrigin: http.NewCrossOriginProtection(),
		pages: &resolver{
			tracker: tracker, memory: cache.NewMemory(cfg.MemoryBytes), encoder: cache.NewEncoder(),
			flights: newFlights(m.shared), renderers: newRenderers(cfg.NATS, clock, m),
		},
		hsts: cfg.strictTransport(), uploadBus: newRenderers(cfg.Uploads, clock, m),
		events: upload.NewEvents(cfg.Uploads),
	}
	s.forms = newFormMemory()
	s.slots = download.NewSlots(mostDownloads, eachDownloads, downloadTurn, time.Now)
	s.ownSlots = download.NewSlots(mostOwnDownloads, eachDownloads, downloadTurn, time.Now)
	s.downloading, s.endDownloads = context.WithCancel(context.Background())
	s.files = upload.New(upload.Config{Ask: s.askUpload, Received: m.uploaded, Visitors: s.pages.renderers.waiting})
	s.errs = newErrorPages(func(ctx context.Context, ref page.Ref) (*cache.Page, error) {
		return s.pages.errorPage(ctx, want{ref: ref, number: s.ids.next()})
	}, s.secure, log)
	s.fast = fastpath.New(fastpath.Config{
		Handler: s, Off: cfg.NoFastPath, MaxConns: cfg.MaxConns, IdleTimeout: idleTimeout, HeaderTimeout: headerTimeout,
		WriteTimeout: writeTimeout, ErrorHeader: s.serverErrorHeader(), Log: log,
		Delegated:  func(reason fastpath.Reason) { m.delegated[reason].Inc() },
		HalfClosed: m.halfClosed.Inc,
		Paced:      m.paced.Inc,
		// As many as its connections of HTTP/1 could have. By HTTP/2 each connection could have 100.
		AddressRequests: cfg.AddressConns, Refused: func(from net.Addr) {
			m.refusedRequests.Inc()
			log.Warn("refused a request: its address has too many under way", "from", from, "limit", cfg.AddressConns,
				"remedy", "if it is a load balancer, name it as a --trusted-proxy")
		},
	})
	s.http = s.newHTTP()
	return s
}

// listen opens the listener, which accepts at most MaxConns connections at once, and AddressConns of one address.
func (s *Server) listen() (net.Listener, error) {
	encryption, err := s.encryption()
	if err != nil {
		return nil, err
	}
	lis, err := s.listenTCP(s.cfg.Listener, s.cfg.Addr)
	if err != nil {
		return nil, err
	}
	s.proxied, _ = lis.(*proxy.Listener)
	lis = newFairListener(lis, s.cfg.AddressConns, s.proxies, func(from netip.Prefix) {
		s.metrics.refused.Inc()
		s.log.Warn("closed a new connection: its address has too many open ones", "address", from,
			"limit", s.cfg.AddressConns, "remedy", "if it is a load balancer, name it as a --trusted-proxy")
	})
	return s.fast.Listener(lis, encryption), nil
}

func (s *Server) newHTTP() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // within TLS, too: net/http is not told of it, see fastpath
	return &http.Server{
		Handler:     s.fast.Wrap(s),
		ConnState:   s.fast.ConnState,
		ConnContext: s.fast.ConnContext,
		Protocols:   protocols,

		DisableGeneralOptionsHandler: true, // its answer to "OPTIONS *" lacks the header fields that all answers have
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  30 * time.Second,
		WriteTimeout:                 writeTimeout, // large bodies move it, see writeBody
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               16<<10 - 4096, // net/http adds 4096 bytes to this limit
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100, MaxReadFrameSize: fastpath.LargestFrame,
			MaxReceiveBufferPerConnection: fastpath.ConnBuffer,
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // mistakes of clients
	}
}

// serverErrorHeader is what the fast path adds to the errors that net/http answers by itself.
func (s *Server) serverErrorHeader() (b []byte) {
	line := func(name string, value []string) {
		b = append(append(append(append(b, "\r\n"...), name...), ": "...), value[0]...)
	}
	line("X-Content-Type-Options", nosniff)
	line("Cache-Control", cacheNever)
	s.secure(line)
	return b
}

// listKey is the key of the popularity list of the edge that listens at addr. It is the same after a restart.
func listKey(addr string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		port = "0"
	}
	return popularlist.Key(host, port)
}

// Addr is where the edge listens, host:port.
func (s *Server) Addr() string { return s.lis.Addr().String() }

// Close closes the listener and ends the goroutines of the in-process cache, for a server that does not Run. Metrics
// stay registered.
func (s *Server) Close() error {
	s.pages.memory.Close()
	return errors.Join(s.plain.close(), s.lis.Close())
}

// Run serves until ctx ends, and for Drain after that. Then it takes the first requests of new connections and finishes
// current ones, for at most StopTimeout together, and waits for everything that it started. It returns nil after an
// orderly stop.
func (s *Server) Run(ctx context.Context) error {
	unannounce, err := s.announce()
	defer unannounce()
	if err == nil {
		var stop func()
		stop, err = s.answerGone()
		defer stop()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("edge: %w", err), s.Close())
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var wg sync.WaitGroup
	for _, part := range append([]func(context.Context){
		s.feed.Run, s.tokens.Run, s.sessions.Run, s.pages.renderers.watch, s.uploadBus.watch, s.pages.memcached.Run,
		s.pages.popularity.Run, s.errs.run,
	}, s.encryptionParts()...) {
		wg.Go(func() { part(work) })
	}
	served := make(chan error, 1)
	go func() {
		s.awaitReady(ctx)
		served <- s.http.Serve(s.lis)
	}()
	select {
	case err = <-served:
		err = fmt.Errorf("edge: serving: %w", err)
		s.fast.Stop()
		_ = s.http.Close()
		s.fast.Cut()
	case <-ctx.Done():
		s.drain(work)
		stopping, cancel := context.WithTimeout(work, s.cfg.StopTimeout)
		s.closePort(stopping, served)
		err = s.shutdown(stopping)
		cancel()
	}
	stopWork()
	s.pages.flights.stop()
	wg.Wait()
	s.pages.memory.Close()
	return err
}

// awaitReady waits until the edge is ready, or has no more patience, or ctx ends, if the socket was there before it.
// Connections wait in it: those of a machine that has just booted, or another edge takes them.
func (s *Server) awaitReady(ctx context.Context) {
	if s.cfg.Listener == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	for s.Ready() != nil && sleep.For(ctx, readyPoll) {
	}
}

// Ready returns nil if the edge can answer and knows what changes, else what is missing.
func (s *Server) Ready() error {
	switch {
	case s.draining.Load():
		return errors.New("edge: it stops")
	case !s.cfg.NATS.IsConnected():
		return fmt.Errorf("edge: NATS is %s", s.cfg.NATS.Status())
	case !s.cfg.Uploads.IsConnected():
		return fmt.Errorf("edge: NATS is %s for uploads", s.cfg.Uploads.Status())
	case !s.feed.CaughtUp():
		return errors.New("edge: has not read the stream CHANGES to its end; a renderer creates it")
	case s.feed.Lapsed():
		return errors.New("edge: no heartbeat comes, the relay lags, or a batch of changes is missing; " +
			"pages are kept for 1 s")
	case s.tokens.Key() == nil:
		return errors.New("edge: the KV bucket KEYS holds no signing key yet")
	case !s.errs.complete():
		return errors.New("edge: no renderer has answered yet")
	}
	if s.ordered != nil {
		if err := s.ordered.Ready(); err != nil {
			return fmt.Errorf("edge: %w", err)
		}
	}
	return s.sessions.Ready()
}

func randomID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

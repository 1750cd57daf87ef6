package encryption

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Ordered are certificates that a CA gives to the edges (ACME, RFC 8555), each with a key of ECDSA. One edge orders a
// certificate, any edge answers the challenge, and all use the certificate. It is renewed when a third of its time is
// left.
type Ordered struct {
	manager *autocert.Manager
	store   *store
	log     *slog.Logger
	names   []string
	client  *http.Client
	end     context.CancelFunc  // of its requests
	certs   map[string]*ordered // by name
	asked   chan struct{}       // a token for each challenge that is being answered
}

// ordered is the certificate for a name.
type ordered struct {
	cert   atomic.Pointer[tls.Certificate] // nil until there is one
	unread atomic.Pointer[error]           // why the bucket could not be read for it; nil: it was
	warned time.Time                       // of unread; of Run's goroutine
}

// NewOrdered returns Ordered without certificates. Run gets them.
func NewOrdered(of Authority, nc *nats.Conn, now ClusterTime, log *slog.Logger) (*Ordered, error) {
	if err := of.Check(); err != nil {
		return nil, err
	}
	working, end := context.WithCancel(context.Background())
	store := newStore(nc, now)
	client, err := of.client(working, store.mayOrder)
	if err != nil {
		end()
		return nil, err
	}
	o := &Ordered{store: store, log: log, names: of.Domains, end: end, client: client.HTTPClient,
		certs: map[string]*ordered{}, asked: make(chan struct{}, mostAsked)}
	o.manager = &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: o.store, Client: client, Email: of.Email,
		HostPolicy: autocert.HostWhitelist(of.Domains...)}
	for _, name := range of.Domains {
		o.certs[name] = &ordered{}
	}
	return o, nil
}

// Get is for [tls.Config.GetCertificate]. It orders nothing: a client that comes before there is a certificate gets
// none. A client with another name, or none, gets the certificate for the first name.
func (o *Ordered) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, ok := o.certs[strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")]
	if !ok {
		cert = o.certs[o.names[0]]
	} else if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		if !o.take() {
			return nil, errAsked
		}
		defer o.give()
		return o.manager.GetCertificate(hello) // the CA, which tries the challenge TLS-ALPN-01
	}
	if found := cert.cert.Load(); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("the CA has given no certificate for %q yet", hello.ServerName)
}

// mostAsked challenges are answered at once. Anybody may ask, each costs a request of the bus, and a CA tries few.
const mostAsked = 16

var errAsked = errors.New("too many challenges are asked for at once")

func (o *Ordered) take() bool {
	select {
	case o.asked <- struct{}{}:
		return true
	default:
		return false
	}
}

func (o *Ordered) give() { <-o.asked }

// Answer returns a handler that answers challenges (HTTP-01), and has next answer everything else. It must be called
// before Run.
func (o *Ordered) Answer(next http.Handler) http.Handler {
	challenges := o.manager.HTTPHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			next.ServeHTTP(w, r)
			return
		}
		if !o.take() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer o.give()
		if name, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = name
		}
		challenges.ServeHTTP(&mute{ResponseWriter: w}, r)
	})
}

// mute sends no text with an error: those of autocert tell about the bus.
type mute struct {
	http.ResponseWriter
	failed bool
}

func (m *mute) WriteHeader(status int) {
	m.failed = status >= http.StatusBadRequest
	m.ResponseWriter.WriteHeader(status)
}

func (m *mute) Write(b []byte) (int, error) {
	if m.failed {
		return len(b), nil
	}
	return m.ResponseWriter.Write(b)
}

// Times of orders.
const (
	certsEvery  = time.Minute     // how often an edge asks for the current certificate, which may have been renewed
	certsMissed = 2 * time.Second // likewise, while another edge orders it
	warnEvery   = time.Minute
)

// Run orders certificates, and has them renewed, until ctx ends.
func (o *Ordered) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, o.end)
	defer stop()
	defer o.client.CloseIdleConnections()
	var wg sync.WaitGroup
	for _, name := range o.names {
		wg.Go(func() {
			for {
				wait := certsEvery
				if !o.refresh(ctx, name) {
					wait = certsMissed
				}
				if !sleep.For(ctx, wait) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// refresh gets the current certificate for a name, and reports whether there is one. It orders one if none is stored
// and no other edge does so.
func (o *Ordered) refresh(ctx context.Context, name string) bool {
	slot := o.certs[name]
	before := slot.cert.Load()
	if before == nil {
		mine, err := o.store.storedOrMine(ctx, name)
		if err != nil {
			slot.unread.Store(&err)
			if ctx.Err() == nil && time.Since(slot.warned) >= warnEvery {
				slot.warned = time.Now()
				o.log.Warn("no TLS connection gets a certificate: the bucket that may hold one cannot be read",
					"name", name, "bucket", wire.BucketACME, "err", err,
					"remedy", "have the NATS server with this bucket run, and edges read it (killr bus check)")
			}
			return false
		}
		slot.unread.Store(nil)
		if !mine {
			return false
		}
	}
	cert, err := o.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: name,
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	if err != nil {
		if ctx.Err() != nil {
			return false
		}
		o.log.Error("the CA gives no certificate", "name", name, "err", err,
			"remedy", "visitors and the CA must reach this site by that name, at port 443, or 80 with --redirect-addr")
		return before != nil
	}
	if before == nil || !before.Leaf.Equal(cert.Leaf) {
		o.log.Info("a TLS certificate of the CA is in use", "name", name, "expires", cert.Leaf.NotAfter)
	}
	slot.cert.Store(cert)
	return true
}

// Expiry is when the first of the certificates expires; zero while there is none.
func (o *Ordered) Expiry() (first time.Time) {
	for _, slot := range o.certs {
		if cert := slot.cert.Load(); cert != nil && (first.IsZero() || cert.Leaf.NotAfter.Before(first)) {
			first = cert.Leaf.NotAfter
		}
	}
	return first
}

// Ready returns an error if there is no certificate for a name, because the bucket with it cannot be read. While a
// certificate is ordered it returns nil: the CA must reach the edge.
func (o *Ordered) Ready() error {
	for _, name := range o.names {
		slot := o.certs[name]
		if err := slot.unread.Load(); err != nil && slot.cert.Load() == nil {
			return fmt.Errorf("no certificate for %s: %w", name, *err)
		}
	}
	return nil
}

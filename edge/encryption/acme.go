package encryption

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"

	"flickrkillr/schema/sleep"
)

// Authority says for which names certificates are ordered, and where. The zero value orders none.
type Authority struct {
	Domains   []string // such as photos.example
	Directory string   // URL of the CA's directory (RFC 8555); "": Let's Encrypt
	Email     string   // to which the CA writes; "": to nobody
	Roots     string   // file with the certificates, in PEM, by which the directory is known; "": the machine's
}

// Check returns an error if a field cannot be right.
func (a Authority) Check() error {
	if len(a.Domains) == 0 && (a.Directory != "" || a.Email != "" || a.Roots != "") {
		return errors.New("name a domain to order a certificate for")
	}
	for _, domain := range a.Domains {
		ascii, err := idna.Lookup.ToASCII(domain)
		_, notIP := netip.ParseAddr(domain)
		if err != nil || ascii != domain || notIP == nil || !strings.Contains(strings.Trim(domain, "."), ".") {
			return fmt.Errorf("%q: a certificate is ordered for a name in lower case, with a dot, such as "+
				"photos.example; write others than ASCII as browsers send them (xn--...)", domain)
		}
	}
	if a.Directory != "" && !strings.HasPrefix(a.Directory, "https://") {
		return fmt.Errorf("the CA's directory %q must begin with https://", a.Directory)
	}
	return nil
}

// client speaks to the CA until end ends.
func (a Authority) client(end context.Context) (*acme.Client, error) {
	client := &acme.Client{DirectoryURL: a.Directory, UserAgent: "killr"}
	if client.DirectoryURL == "" {
		client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	client.HTTPClient = &http.Client{Transport: untilEnd{transport, end}, Timeout: time.Minute}
	if a.Roots == "" {
		return client, nil
	}
	pem, err := os.ReadFile(a.Roots)
	if err != nil {
		return nil, fmt.Errorf("the certificates by which the CA is known: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s, by which the CA would be known", a.Roots)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return client, nil
}

// untilEnd sends requests until a context ends. autocert knows no other way to give up an order.
type untilEnd struct {
	*http.Transport
	end context.Context
}

func (u untilEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	context.AfterFunc(u.end, cancel) // also while the body is read; an order has few requests
	return u.Transport.RoundTrip(r.WithContext(ctx))
}

// Ordered are certificates that a CA gives to the edges (ACME, RFC 8555), each with a key of ECDSA. One edge orders a
// certificate, any edge answers the challenge, and all use the certificate. It is renewed when a third of its time is
// left.
type Ordered struct {
	manager *autocert.Manager
	store   *store
	log     *slog.Logger
	names   []string
	client  *http.Client
	end     context.CancelFunc                          // of its requests
	certs   map[string]*atomic.Pointer[tls.Certificate] // by name; nil until there is one
}

// NewOrdered returns Ordered without certificates. Run gets them. now is cluster time.
func NewOrdered(of Authority, nc *nats.Conn, now func() time.Time, log *slog.Logger) (*Ordered, error) {
	if err := of.Check(); err != nil {
		return nil, err
	}
	working, end := context.WithCancel(context.Background())
	client, err := of.client(working)
	if err != nil {
		end()
		return nil, err
	}
	o := &Ordered{store: &store{nc: nc, now: now}, log: log, names: of.Domains, end: end,
		client: client.HTTPClient, certs: map[string]*atomic.Pointer[tls.Certificate]{}}
	o.manager = &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: o.store, Client: client, Email: of.Email,
		HostPolicy: autocert.HostWhitelist(of.Domains...)}
	for _, name := range of.Domains {
		o.certs[name] = &atomic.Pointer[tls.Certificate]{}
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
		return o.manager.GetCertificate(hello) // the CA, which tries the challenge TLS-ALPN-01
	}
	if found := cert.Load(); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("the CA has given no certificate for %q yet", hello.ServerName)
}

// Answer returns a handler that answers challenges (HTTP-01), and has next answer everything else. It must be called
// before Run.
func (o *Ordered) Answer(next http.Handler) http.Handler {
	challenges := o.manager.HTTPHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			if name, _, err := net.SplitHostPort(r.Host); err == nil {
				r.Host = name
			}
		}
		challenges.ServeHTTP(w, r)
	})
}

// Times of orders.
const (
	certsEvery  = time.Minute     // how often an edge asks for the current certificate, which may have been renewed
	certsMissed = 2 * time.Second // likewise, while another edge orders it
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
	before := slot.Load()
	if before == nil {
		switch mine, err := o.store.takeTurn(ctx, name); {
		case err != nil:
			o.log.Debug("cannot read whether there is a certificate", "name", name, "err", err)
			return false
		case !mine:
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
	slot.Store(cert)
	return true
}

// Expiry is when the first of the certificates expires; zero while there is none.
func (o *Ordered) Expiry() (first time.Time) {
	for _, slot := range o.certs {
		if cert := slot.Load(); cert != nil && (first.IsZero() || cert.Leaf.NotAfter.Before(first)) {
			first = cert.Leaf.NotAfter
		}
	}
	return first
}

// Package authority is a CA that gives certificates by ACME, for tests: pebble, in this process.
package authority

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

// CA is a CA whose requests wait until Begin.
type CA struct {
	Directory string // URL
	Roots     string // a file in PEM, by which its server is known

	server *httptest.Server
	open   chan struct{}

	mu      sync.Mutex
	handler http.Handler
	issuers *x509.CertPool
	orders  int
}

// IgnoreLeaks is an option for testenv.Main: pebble's checks of challenges cannot be stopped.
func IgnoreLeaks() goleak.Option {
	return goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks")
}

// New starts a CA. It ends with the test.
func New(t testing.TB) *CA {
	t.Helper()
	a := &CA{open: make(chan struct{})}
	a.server = httptest.NewTLSServer(a)
	t.Cleanup(a.server.Close)
	a.Directory, a.Roots = a.server.URL+wfe.DirectoryPath, filepath.Join(t.TempDir(), "roots.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw}
	if err := os.WriteFile(a.Roots, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// ServeHTTP answers a request of ACME.
func (a *CA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-a.open:
	case <-r.Context().Done():
		return
	}
	a.mu.Lock()
	if strings.HasSuffix(r.URL.Path, "/order-plz") {
		a.orders++
	}
	handler := a.handler
	a.mu.Unlock()
	handler.ServeHTTP(w, r)
}

// Orders is how many orders the CA has got.
func (a *CA) Orders() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders
}

// Issuers are whom clients must trust that take the CA's certificates. Call Begin before.
func (a *CA) Issuers() *x509.CertPool { return a.issuers }

// Begin lets the CA work. It looks for challenges at these ports of 127.0.0.1, whatever the name.
func (a *CA) Begin(t testing.TB, httpPort, tlsPort int) {
	t.Helper()
	// Not t.Setenv, as tests run in parallel: by these, pebble neither waits nor does anything at random.
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0",
	} {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
	said, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuer := ca.New(said, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	checker := va.New(said, httpPort, tlsPort, false, nameServer(t), store)
	a.issuers = x509.NewCertPool()
	a.issuers.AddCert(issuer.GetRootCert(0).Cert)
	front := wfe.New(said, store, checker, issuer, []string{"pebble.example"}, false, false, 1, 1)
	a.BeginAs(front.Handler())
}

// BeginAs is Begin for a CA that a test plays.
func (a *CA) BeginAs(handler http.Handler) {
	a.mu.Lock()
	a.handler = handler
	a.mu.Unlock()
	close(a.open)
}

// nameServer is a DNS server that knows every name, at 127.0.0.1.
func nameServer(t testing.TB) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = lis.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				answerName(conn)
			})
		}
	})
	return lis.Addr().String()
}

// answerName answers one question. By TCP each message stands behind its length.
func answerName(conn net.Conn) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	b := make([]byte, binary.BigEndian.Uint16(head))
	var m dnsmessage.Message
	if _, err := io.ReadFull(conn, b); err != nil || m.Unpack(b) != nil || len(m.Questions) == 0 {
		return
	}
	m.Response, m.Additionals = true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	if packed, err := m.Pack(); err == nil {
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	}
}

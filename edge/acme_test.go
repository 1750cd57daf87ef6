package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/net/dns/dnsmessage"

	"flickrkillr/edge/encryption"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// authority is a CA in this process, whose requests wait until the test opens it.
type authority struct {
	config encryption.Authority
	server *httptest.Server
	open   chan struct{}

	mu      sync.Mutex
	handler http.Handler
	orders  int
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{open: make(chan struct{})}
	a.server = httptest.NewTLSServer(a)
	t.Cleanup(a.server.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	testenv.WriteCertificate(t, roots, &tls.Certificate{Certificate: [][]byte{a.server.Certificate().Raw}})
	a.config = encryption.Authority{Domains: []string{"photos.example"}, Directory: a.server.URL + wfe.DirectoryPath,
		Email: "admin@photos.example", Roots: roots}
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// begin lets the CA work. It looks for challenges at these ports of 127.0.0.1, whatever the name.
func (a *authority) begin(t *testing.T, httpPort, tlsPort int) {
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
	front := wfe.New(said, store, checker, issuer, []string{"pebble.example"}, false, false, 1, 1)
	a.mu.Lock()
	a.handler = front.Handler()
	a.mu.Unlock()
	close(a.open)
}

// nameServer is a DNS server that knows every name, at 127.0.0.1.
func nameServer(t *testing.T) (addr string) {
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

func portOf(t *testing.T, addr net.Addr) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shownFor returns the certificate that an edge shows for a name; nil: none.
func shownFor(t *testing.T, e *Server, name string) *x509.Certificate {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}} //nolint:gosec // compared
	conn, err := dialer.DialContext(t.Context(), "tcp", e.Addr())
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}

// TestACME: one edge orders a certificate, another answers the challenge, and both have it, as has one that starts
// later.
func TestACME(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"TLS-ALPN-01", "HTTP-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			s, a := newSite(t), newAuthority(t)
			option := func(c *Config) { c.Authority, c.RedirectAddr = a.config, "127.0.0.1:0" }
			first := s.start(option)
			js, err := jetstream.New(testenv.ConnectAs(t, s.server.URL(), wire.RoleEdge))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "an edge begins the order", func() bool {
				kv, err := js.KeyValue(t.Context(), wire.BucketACME)
				if err != nil {
					return false
				}
				_, err = kv.Get(t.Context(), "photos.example=turn")
				return err == nil
			})
			if shownFor(t, first, "photos.example") != nil {
				t.Error("there is a certificate before the CA has given one")
			}
			second := s.start(option) // it waits for the other's order, and answers
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_ = closed.Close()
			httpPort, tlsPort := portOf(t, second.plain.lis.Addr()), portOf(t, second.lis.Addr())
			if challenge == "HTTP-01" {
				tlsPort = portOf(t, closed.Addr())
			} else {
				httpPort = portOf(t, closed.Addr())
			}
			a.begin(t, httpPort, tlsPort)
			all := []*Server{first, second}
			for len(all) < 4 {
				for _, e := range all {
					testenv.Within(t, 2*time.Minute, "an edge has the certificate", func() bool {
						cert := shownFor(t, e, "photos.example")
						return cert != nil && cert.VerifyHostname("photos.example") == nil &&
							cert.Equal(shownFor(t, all[0], "photos.example"))
					})
				}
				all = append(all, s.start(option))
			}
			if shownFor(t, first, "") == nil || shownFor(t, first, "other.example") == nil {
				t.Error("a client with another name, or none, gets no certificate")
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			least, most := 1, len(all)-1 // an order may be repeated when the bus is slow, but not by each edge
			if challenge == "HTTP-01" {
				least, most = 2, 2*most // the first one had the other challenge
			}
			if a.orders < least || a.orders > most {
				t.Errorf("%d orders, want %d to %d", a.orders, least, most)
			}
		})
	}
}

// TestACMETurns: while an order fails no edge makes another one, until the time that doubles with each.
func TestACMETurns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := newAuthority(t)
	a.handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"type":"urn:ietf:params:acme:error:unauthorized"}`, http.StatusForbidden)
	})
	close(a.open)
	lines := testenv.NewOutput()
	option := func(c *Config) { c.Authority = a.config; c.Logger = slog.New(slog.NewTextHandler(lines, nil)) }
	s.start(option)
	s.start(option)
	eventually(t, "the failure is logged", func() bool {
		_, ok := lines.Line("the CA gives no certificate", "photos.example")
		return ok
	})
	kv, err := s.js.KeyValue(context.Background(), wire.BucketACME)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(context.Background(), "photos.example=turn")
	if err != nil {
		t.Fatal(err)
	}
	var turn struct{ Until, Tries int64 }
	if err := json.Unmarshal(entry.Value(), &turn); err != nil || turn.Tries != 1 ||
		!time.UnixMicro(turn.Until).After(time.Now()) {
		t.Errorf("%s, %v", entry.Value(), err)
	}
}

// TestAuthorityCheck: what no CA takes is refused at the start.
func TestAuthorityCheck(t *testing.T) {
	t.Parallel()
	cert, key := testenv.CertificateFiles(t)
	nc := newSite(t).nc
	for want, change := range map[string]func(*Config){
		"with a dot":        func(c *Config) { c.Authority.Domains = []string{"localhost"} },
		"192.0.2.7":         func(c *Config) { c.Authority.Domains = []string{"192.0.2.7"} },
		"*.photos.example":  func(c *Config) { c.Authority.Domains = []string{"*.photos.example"} },
		"in lower case":     func(c *Config) { c.Authority.Domains = []string{"Photos.example"} },
		"xn--":              func(c *Config) { c.Authority.Domains = []string{"dünen.example"} },
		"https://":          func(c *Config) { c.Authority.Directory = "http://ca.example" },
		"name a domain":     func(c *Config) { c.Authority.Domains = nil },
		"/none.pem":         func(c *Config) { c.Authority.Roots = "/none.pem" },
		"no certificate in": func(c *Config) { c.Authority.Roots = key },
		"from files or from the": func(c *Config) {
			c.Certificates = []encryption.KeyPair{{Certificate: cert, Key: key}}
		},
	} {
		cfg := Config{Addr: "127.0.0.1:0", NATS: nc,
			Authority: encryption.Authority{Domains: []string{"photos.example"}, Email: "a@photos.example"}}
		change(&cfg)
		e, err := New(cfg)
		if err == nil {
			_ = e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

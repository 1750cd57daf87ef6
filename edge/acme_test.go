package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/edge/encryption"
	"flickrkillr/ops/testenv"
	"flickrkillr/ops/testenv/authority"
	"flickrkillr/schema/wire"
)

// orders is a configuration by which a CA gives certificates.
func orders(a *authority.CA) encryption.Authority {
	return encryption.Authority{Domains: []string{"photos.example"}, Directory: a.Directory,
		Email: "admin@photos.example", Roots: a.Roots}
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
			s, a := newSite(t), authority.New(t)
			option := func(c *Config) { c.Authority, c.RedirectAddr = orders(a), "127.0.0.1:0" }
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
			a.Begin(t, httpPort, tlsPort)
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
			ordered := a.Orders()
			least, most := 1, len(all)-1 // an order may be repeated when the bus is slow, but not by each edge
			if challenge == "HTTP-01" {
				least, most = 2, 2*most // the first one had the other challenge
			}
			if ordered < least || ordered > most {
				t.Errorf("%d orders, want %d to %d", ordered, least, most)
			}
		})
	}
}

// TestACMETurns: while an order fails no edge makes another one, until the time that doubles with each.
func TestACMETurns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := authority.New(t)
	a.BeginAs(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"type":"urn:ietf:params:acme:error:unauthorized"}`, http.StatusForbidden)
	}))
	lines := testenv.NewOutput()
	option := func(c *Config) { c.Authority = orders(a); c.Logger = slog.New(slog.NewTextHandler(lines, nil)) }
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

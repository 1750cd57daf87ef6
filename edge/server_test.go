package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"flickrkillr/edge/fastpath"
)

// TestHTTP2: an edge speaks HTTP/2, within TLS and without (h2c).
func TestHTTP2(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	for _, path := range []string{fastPath, encrypted} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			e := s.edge(pathOption(t, path))
			transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: trusting.Clone()}
			transport.Protocols.SetHTTP2(true)
			transport.Protocols.SetUnencryptedHTTP2(path == fastPath)
			defer transport.CloseIdleConnections()
			resp, err := (&http.Client{Transport: transport}).Get(origin(e) + "/photos/ansel")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
				t.Errorf("%s %d", resp.Proto, resp.StatusCode)
			}
			if got := delegated(t, e); got[fastpath.ReasonHTTP2] != 1 || len(got) != 1 {
				t.Errorf("%v delegated requests, want one by HTTP/2", got)
			}
		})
	}
}

// TestEncryption: an edge with a certificate takes TLS 1.2 and 1.3 with ciphers that authenticate, nothing older or
// weaker, and tells a client without TLS to use it.
func TestEncryption(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.start(pathOption(t, encrypted))
	for name, c := range map[string]struct {
		change func(*tls.Config)
		agree  bool
	}{
		"TLS 1.3":  {func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, true},
		"TLS 1.2":  {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		"TLS 1.1":  {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		"CBC mode": {weakly, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := trusting.Clone()
			c.change(config)
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", e.Addr())
			if (err == nil) != c.agree {
				t.Errorf("client and edge agree: %v", err)
			}
			if err == nil {
				_ = conn.Close()
			}
		})
	}
	conn, err := net.Dial("tcp", e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, rawGet("/"))
	if got, err := io.ReadAll(conn); !strings.HasPrefix(string(got), "HTTP/1.0 400 Bad Request\r\n") ||
		!strings.Contains(string(got), "HTTPS") || err != nil {
		t.Errorf("without TLS: %q, %v", got, err)
	}
}

func weakly(c *tls.Config) {
	c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
}

// TestTakenAddress: New fails, and names the address, when another process listens there.
func TestTakenAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	addr := lis.Addr().String()
	if _, err := New(Config{Addr: addr, NATS: s.nc}); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("error %v, want one that names %s", err, addr)
	}
}

// TestMaxConns: a client beyond the limit is accepted when another one leaves.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off %t", off), func(t *testing.T) {
			t.Parallel()
			onLimitedPipes(t, off, 2, http.NotFound, func(_ *Server, p *pipes) {
				request := func(client *rawClient) {
					client.send(rawGet("/other"))
					client.receive(http.MethodGet)
				}
				first, second := p.dial(t), p.dial(t)
				request(first)
				request(second)
				accepted := make(chan *rawClient, 1)
				go func() { accepted <- p.dial(t) }()
				synctest.Wait()
				select {
				case third := <-accepted:
					t.Error("a third client was accepted")
					accepted <- third
				default:
				}
				_ = first.conn.Close()
				request(<-accepted)
				request(second)
			}) // the edge stops while its listener waits for a client to leave
		})
	}
}

// TestLastAnswerSaysClose: an answer that is written while the edge stops says that the connection closes.
func TestLastAnswerSaysClose(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e, stop := s.stoppable()
	release := s.blockUsers()
	client := dial(t, e)
	client.send(rawGet("/photos/ansel"))
	eventually(t, "the page is requested", func() bool { return fetching(e) == 1 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	eventually(t, "no further client is accepted", func() bool {
		conn, err := net.Dial("tcp", e.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	resp, err := http.ReadResponse(client.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("status %d, Connection: close: %t", resp.StatusCode, resp.Close)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	<-stopped
}

// TestNewClosesTheCache: an edge that cannot listen ends the goroutines of its in-process cache. TestMain finds leaked
// goroutines.
func TestNewClosesTheCache(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if _, err := New(Config{Addr: lis.Addr().String(), NATS: s.nc, Logger: s.log()}); err == nil {
		t.Fatal("two edges listen at the same address")
	}
	e, err := New(Config{Addr: "127.0.0.1:0", NATS: s.nc, Logger: s.log()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

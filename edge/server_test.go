package edge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"flickrkillr/edge/fastpath"
)

// TestHTTP2WithoutTLS: an edge without a certificate speaks HTTP/2 too (h2c).
func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + e.Addr() + "/photos/ansel")
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

package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// shared returns listeners that share one socket, as processes do that systemd passes it to.
func shared(t *testing.T, n int) (all []net.Listener) {
	t.Helper()
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // systemd opens sockets of TCP alone
	first, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := first.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		lis, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lis)
	}
	_, _ = file.Close(), first.Close()
	return all
}

// TestHandOver: edges that share a socket replace one another under requests, by HTTP/1.1 and HTTP/2, on connections
// that stay and on new ones, and no request fails.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for _, path := range []string{fastPath, encrypted} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(path+" "+protocol, func(t *testing.T) {
				t.Parallel()
				handOver(t, path, protocol)
			})
		}
	}
}

const handOvers = 3

func handOver(t *testing.T, path, protocol string) {
	s := newSite(t)
	s.renderer()
	sockets := shared(t, handOvers)
	next := func() (*Server, func()) {
		lis := sockets[0]
		sockets = sockets[1:]
		return s.stoppable(pathOption(t, path), func(c *Config) { c.Listener = lis })
	}
	e, stop := next()
	url := origin(e) + "/photos/ansel"

	visiting, leave := context.WithCancel(t.Context())
	defer leave()
	var visitors sync.WaitGroup
	answered := make(chan struct{}, 1)
	for _, stays := range []bool{true, false} {
		transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: trusting.Clone(),
			DisableKeepAlives: !stays, ForceAttemptHTTP2: true}
		transport.Protocols.SetHTTP1(protocol == "HTTP/1.1")
		transport.Protocols.SetHTTP2(protocol == "HTTP/2.0" && path == encrypted)
		transport.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2.0" && path != encrypted)
		visitors.Go(func() {
			defer transport.CloseIdleConnections()
			for visiting.Err() == nil {
				resp, err := (&http.Client{Transport: transport}).Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || resp.Proto != protocol {
					t.Errorf("%s %d, %v", resp.Proto, resp.StatusCode, err)
					return
				}
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		})
	}
	for len(sockets) > 0 && !t.Failed() {
		<-answered
		other, stopOther := next()
		eventually(t, "the next edge is ready", func() bool { return other.Ready() == nil })
		stop()
		stop = stopOther
	}
	<-answered
	leave()
	visitors.Wait()
	stop()
}

// TestGivenRedirects: clients without TLS are redirected at a socket that somebody else has opened.
func TestGivenRedirects(t *testing.T) {
	t.Parallel()
	lis := shared(t, 1)[0]
	newSite(t).start(pathOption(t, encrypted), func(c *Config) { c.Redirects = lis })
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Get("http://" + lis.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestRedirectsEndEarly: clients without TLS are sent to another edge as soon as this one stops, not only once its
// requests have ended.
func TestRedirectsEndEarly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	s.renderer()
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Name() == "slow" {
			close(asked)
			<-goOn
		}
		return s.standard(ref)
	})
	e, stop := s.stoppable(pathOption(t, encrypted), func(c *Config) { c.RedirectAddr = "127.0.0.1:0" })
	addr := e.plain.lis.Addr().String()
	client := dial(t, e)
	client.send("GET /photos/slow HTTP/1.1\r\nHost: killr\r\n\r\n")
	<-asked
	var stopping sync.WaitGroup
	stopping.Go(stop)
	eventually(t, "the address without TLS is closed", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(goOn)
	if got := client.receive(http.MethodGet); got.status != http.StatusOK {
		t.Errorf("the request under way: %d", got.status)
	}
	stopping.Wait()
}

// TestConnectionsWaitForAnEdge: an edge that has begun and cannot answer yet leaves connections in the socket that it
// was given.
func TestConnectionsWaitForAnEdge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lis := shared(t, 1)[0]
	e := s.start(func(c *Config) { c.Listener, c.Patience = lis, time.Minute })
	conn, err := net.Dial("tcp", e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /photos/ansel HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // without patience it is a 503
	if line, err := answer.ReadString('\n'); err == nil {
		t.Fatalf("without a renderer: %s", line)
	}
	s.renderer()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	resp, err := http.ReadResponse(answer, nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

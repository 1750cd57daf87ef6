package edge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/popularity"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// pipes is a listener whose connections have no buffer: a Write returns when the other end has read everything.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(t testing.TB) *rawClient {
	here, there := net.Pipe()
	p.conns <- there
	return &rawClient{t, here, bufio.NewReader(here)}
}

// pipesBody is the size of the page, in bytes. The edge writes it in several chunks.
const pipesBody = 150_000

// onPipes runs visit with the HTTP server of an edge, in fake time and without NATS. The fast path has one page,
// /photos/ansel; the handler answers all other requests.
func onPipes(t *testing.T, handler http.HandlerFunc, visit func(*Server, *pipes)) {
	onLimitedPipes(t, false, 0, handler, visit)
}

// onLimitedPipes is onPipes with Config.NoFastPath and Config.MaxConns.
func onLimitedPipes(t *testing.T, off bool, conns int, handler http.HandlerFunc, visit func(*Server, *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(Config{
			NoFastPath: off, MaxConns: conns, StopTimeout: defaultStopTimeout, Logger: slog.New(slog.DiscardHandler),
		})
		defer s.pages.memory.Close()
		if handler != nil {
			s.http.Handler = s.fast.Wrap(handler)
		}
		s.pages.popularity = popularity.New(popularity.Config{
			Tracker: s.pages.tracker, Memory: s.pages.memory, Log: s.log,
		})
		s.pages.memory.Put(cache.New(s.pages.tracker, page.User("ansel"), &wire.Reply{
			Status: 200, ContentType: "text/html", ETag: "e", ReadAt: time.Now(), MaxAge: time.Hour, Immutable: true,
			Body: bytes.Repeat([]byte("x"), pipesBody),
		}), time.Now())
		lis := newPipes()
		served := make(chan error, 1)
		go func() { served <- s.http.Serve(s.fast.Listener(lis, nil)) }()
		visit(s, lis)
		_ = s.shutdown(context.Background())
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

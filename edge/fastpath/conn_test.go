package fastpath

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener accepts the connections that are sent to it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) { return <-l, nil }
func (l pipeListener) Close() error              { return nil }
func (l pipeListener) Addr() net.Addr            { return &net.TCPAddr{} }

type panicking struct{}

func (panicking) ServeFast(Responder, *Request) (Reason, error) { panic("broken") }
func (panicking) ServeNear(Stream, *Request) bool               { panic("broken") }

// TestHandlerPanics: a panic of the handler ends its connection, which makes room for another one.
func TestHandlerPanics(t *testing.T) {
	t.Parallel()
	s := New(Config{
		Handler: panicking{}, MaxConns: 1,
		IdleTimeout: time.Minute, HeaderTimeout: time.Minute, WriteTimeout: time.Minute,
		Delegated: func(Reason) {}, HalfClosed: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	conns := make(pipeListener, 1)
	lis := s.Listener(conns, nil)
	for range 2 {
		here, there := net.Pipe()
		conns <- there
		c, err := lis.Accept() // the second one waits until the first is closed
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(here, rawGet("/photos/ansel")) }()
		if _, err := c.Read(make([]byte, 100)); !errors.Is(err, io.EOF) {
			t.Errorf("net/http reads %v, want the end of the connection", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n, err := here.Read(make([]byte, 100)); n > 0 || !errors.Is(err, io.EOF) {
			t.Errorf("the client receives %d bytes, %v", n, err)
		}
	}
}

// TestHandshakeThatDoesNotCome: a client of a listener with encryption that sends nothing is gone after the time for a
// request's header.
func TestHandshakeThatDoesNotCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{HeaderTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
		conns := make(pipeListener, 1)
		here, there := net.Pipe()
		defer here.Close()
		conns <- there
		c, err := s.Listener(conns, &tls.Config{}).Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		if _, err := c.Read(make([]byte, 100)); !errors.Is(err, io.EOF) || time.Since(began) != 5*time.Second {
			t.Errorf("net/http reads %v after %v, want the end of the connection", err, time.Since(began))
		}
	})
}

package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// listen returns a listener that trusts 127.0.0.1, and what it is told of.
func listen(t *testing.T, timeout time.Duration) (l *Listener, refused <-chan error) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := ParseNetworks([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 100)
	l = Listen(lis, trusted, timeout, func(_ net.Addr, err error) { told <- err })
	t.Cleanup(func() { _ = l.Close() })
	return l, told
}

// open connects from an address and sends bytes.
func open(t *testing.T, l *Listener, from, send string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if send == "" {
		return conn
	}
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	return conn
}

// begins accepts a connection and checks where its client is, and its first bytes.
func begins(t *testing.T, l *Listener, want, first string) {
	t.Helper()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	b := make([]byte, len(first))
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != first {
		t.Errorf("it begins with %q, %v, want %q", b, err, first)
	}
	got := nc.RemoteAddr().String()
	if host, _, _ := net.SplitHostPort(got); got != want && host != want {
		t.Errorf("its client is at %s, want %s", got, want)
	}
}

// TestListener: a trusted proxy names its client; what others send is theirs.
func TestListener(t *testing.T) {
	t.Parallel()
	l, refused := listen(t, time.Minute)
	const header = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
	open(t, l, "127.0.0.1", header+"hello")
	begins(t, l, "192.0.2.7:4711", "hello")
	open(t, l, "127.0.0.1", version2(commandProxy, familyTCP6, ends6)+"hello")
	begins(t, l, "[2001:db8::7]:4711", "hello")
	open(t, l, "127.0.0.1", version2(commandLocal, familyNone, "")+"hello")
	begins(t, l, "127.0.0.1", "hello")
	open(t, l, "127.0.0.2", header+"hello")
	begins(t, l, "127.0.0.2", header+"hello")
	slow := open(t, l, "127.0.0.1", header[:20]) // keeps nobody waiting
	open(t, l, "127.0.0.1", header+"other")
	begins(t, l, "192.0.2.7:4711", "other")
	if _, err := io.WriteString(slow, header[20:]+"slow"); err != nil {
		t.Fatal(err)
	}
	begins(t, l, "192.0.2.7:4711", "slow")
	for _, send := range wrong {
		if len(send) > 1000 { // the reset may reach the writer
			continue
		}
		conn := open(t, l, "127.0.0.1", send)
		if err := <-refused; !errors.Is(err, errHeader) {
			t.Errorf("%.40q: %v", send, err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%.40q is answered", send)
		}
	}
	_ = open(t, l, "127.0.0.1", header[:20]).(*net.TCPConn).CloseWrite()
	if err := <-refused; !errors.Is(err, io.EOF) {
		t.Errorf("a header that ends early: %v", err)
	}
}

// TestSlowHeader: a connection whose header is not complete in time is closed.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	l, refused := listen(t, time.Millisecond)
	conn := open(t, l, "127.0.0.1", "") // nothing: the reset could overtake it
	if err := <-refused; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the connection is open")
	}
}

// TestRetire: a listener that retires takes no connection, and returns those that it has taken, once their header has
// come. It waits no longer than it may.
func TestRetire(t *testing.T) {
	t.Parallel()
	l, _ := listen(t, time.Minute)
	const header = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
	open(t, l, "127.0.0.1", header+"whole")
	begins(t, l, "192.0.2.7:4711", "whole") // the next one is taken, too
	half := open(t, l, "127.0.0.1", header[:20])
	silent := open(t, l, "127.0.0.1", "")
	for taken := 0; taken < 2; runtime.Gosched() {
		l.mu.Lock()
		taken = len(l.pending)
		l.mu.Unlock()
	}
	ctx, cancel := context.WithCancel(t.Context())
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		l.Retire(ctx)
	}()
	for l.Listener.(*net.TCPListener).SetDeadline(time.Time{}) == nil { // until it is closed
		runtime.Gosched()
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("a connection is taken")
		_ = conn.Close()
	}
	if _, err := io.WriteString(half, header[20:]+"half"); err != nil {
		t.Fatal(err)
	}
	begins(t, l, "192.0.2.7:4711", "half")
	select {
	case <-retired:
		t.Error("it does not wait for the last header")
	default:
	}
	cancel()
	<-retired
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a connection is open")
	}
}

// TestCloseListener: closing ends an Accept, connections whose header is being read, and those that nobody accepted.
// TestMain finds leaked goroutines.
func TestCloseListener(t *testing.T) {
	t.Parallel()
	l, _ := listen(t, time.Minute)
	open(t, l, "127.0.0.1", strings.Repeat("PROXY ", 2)+"x")
	open(t, l, "127.0.0.1", "PROXY UNKNOWN\r\n")
	half := open(t, l, "127.0.0.1", "PROXY ")
	begins(t, l, "0.0.0.0", "")
	open(t, l, "127.0.0.1", "PROXY UNKNOWN\r\n")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n, err := half.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a connection is open")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = l.Close()
}

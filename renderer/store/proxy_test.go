package store_test

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a pool and Postgres, and loses a connection at the worst moment.
type proxy struct {
	addr, target string
	listener     net.Listener
	answers      bool         // lose the answer, not the COMMIT itself
	losing       atomic.Bool  // at the next COMMIT
	lost         atomic.Int32 // connections
	commits      atomic.Int32 // that came by
	running      sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
}

func newProxy(t testing.TB, host string, port uint16) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), target: net.JoinHostPort(host, strconv.Itoa(int(port))), listener: l}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

// lose makes the proxy cut the next connection that commits, once: before Postgres hears of it, or before its answer arrives.
func (p *proxy) lose(answer bool) {
	p.answers = answer
	p.losing.Store(true)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, server)
		p.mu.Unlock()
		var swallow atomic.Bool // what the server says next
		p.running.Go(func() {
			pass(client, server, func(data []byte) bool {
				if !bytes.Contains(data, []byte("commit\x00")) {
					return true
				}
				p.commits.Add(1)
				if !p.losing.Swap(false) {
					return true
				}
				p.lost.Add(1)
				swallow.Store(p.answers)
				return p.answers
			})
		})
		p.running.Go(func() { pass(server, client, func([]byte) bool { return !swallow.Load() }) })
	}
}

// pass hands on what is read until a connection ends or look refuses, and closes both.
func pass(from, to net.Conn, look func([]byte) bool) {
	defer func() { _ = from.Close(); _ = to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && look(buf[:n]) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		} else if n > 0 || err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

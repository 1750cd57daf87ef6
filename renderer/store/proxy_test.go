package store_test

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// What a proxy may do to a COMMIT.
type loss int

const (
	loseCommit loss = iota // the connection ends before Postgres hears of it
	loseAnswer             // the connection ends before the answer arrives
	freeze                 // Postgres waits for it in vain, as if this process were frozen
)

// proxy stands between a pool and Postgres, and loses a connection at the worst moment.
type proxy struct {
	addr, target string
	listener     net.Listener
	how          loss
	losing       atomic.Bool  // the next COMMIT
	lost         atomic.Int32 // COMMITs
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

// lose makes the proxy lose the next COMMIT.
func (p *proxy) lose(how loss) {
	p.how = how
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
			pass(client, server, func(data []byte) ([]byte, bool) {
				if !bytes.Contains(data, []byte("commit\x00")) {
					return data, true
				}
				p.commits.Add(1)
				if !p.losing.Swap(false) {
					return data, true
				}
				p.lost.Add(1)
				swallow.Store(p.how == loseAnswer)
				switch p.how {
				case freeze:
					return nil, true
				case loseAnswer:
					return data, true
				}
				return nil, false
			})
		})
		p.running.Go(func() { pass(server, client, func(data []byte) ([]byte, bool) { return data, !swallow.Load() }) })
	}
}

// pass hands on what look makes of what is read, until a connection ends or look says that it should, and closes both.
func pass(from, to net.Conn, look func([]byte) (pass []byte, goOn bool)) {
	defer func() { _ = from.Close(); _ = to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		data, goOn := look(buf[:n])
		if !goOn {
			return
		}
		if _, err := to.Write(data); err != nil {
			return
		}
	}
}

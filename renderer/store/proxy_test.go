package store_test

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// What a proxy may do to an action.
type loss int

const (
	loseRequest loss = iota // the connection ends before Postgres hears of it
	loseAnswer              // the connection ends before the answer arrives
	holdAnswer              // the answer arrives once thawed is closed, as if this process had been frozen
)

// lostKey is the key of the action that a proxy loses, by which it knows it.
const lostKey = "the-key-of-the-action-that-is-lost"

// proxy stands between a pool and Postgres, and loses a connection at the worst moment.
type proxy struct {
	addr, target string
	listener     net.Listener
	how          loss
	losing       atomic.Bool  // the next action
	lost         atomic.Int32 // actions
	actions      atomic.Int32 // that came by
	thawed       chan struct{}
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
	p := &proxy{addr: l.Addr().String(), target: net.JoinHostPort(host, strconv.Itoa(int(port))), listener: l,
		thawed: make(chan struct{})}
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

// lose makes the proxy lose the next action.
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
		var late atomic.Bool // what the server says next
		p.running.Go(func() {
			pass(client, server, func(data []byte) bool {
				if !bytes.Contains(data, []byte(lostKey)) {
					return true
				}
				p.actions.Add(1)
				if !p.losing.Swap(false) {
					return true
				}
				p.lost.Add(1)
				late.Store(p.how != loseRequest)
				return p.how != loseRequest
			})
		})
		p.running.Go(func() {
			pass(server, client, func([]byte) bool {
				if late.Load() && p.how == holdAnswer {
					<-p.thawed
				}
				return !late.Load() || p.how == holdAnswer
			})
		})
	}
}

// pass hands on what is read, until a connection ends or look says that it should, and closes both.
func pass(from, to net.Conn, look func([]byte) (goOn bool)) {
	defer func() { _ = from.Close(); _ = to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if !look(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Delay is a proxy that forwards what clients send after a delay, in order, and what the server sends at once. Make it
// with Listen.
type Delay struct {
	listener net.Listener
	target   string // host:port
	by       time.Duration
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// Listen opens a Delay in front of target, on a free port of 127.0.0.1.
func Listen(target string, by time.Duration) (*Delay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("delay %s: %w", target, err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // ends in Close
	d := &Delay{listener: l, target: target, by: by, cancel: cancel}
	d.running.Go(func() { d.accept(ctx) })
	return d, nil
}

// Addr is where clients connect to.
func (d *Delay) Addr() string { return d.listener.Addr().String() }

// Close ends all connections and waits for them.
func (d *Delay) Close() error {
	err := d.listener.Close()
	d.cancel()
	d.running.Wait()
	return err
}

func (d *Delay) accept(ctx context.Context) {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return // closed
		}
		d.running.Go(func() { d.serve(ctx, client) })
	}
}

// serve ends when either side ends. Its errors are ends of connections, which both sides notice themselves.
func (d *Delay) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.target)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	d.forward(server, client)
	_ = server.Close()
	back.Wait()
}

// part is what arrived at once, and when it is due.
type part struct {
	data []byte
	due  time.Time
}

// forward copies with the delay until src ends. Parts are delayed independently: the delay adds latency and does not
// limit throughput.
func (d *Delay) forward(dst io.Writer, src io.Reader) {
	parts := make(chan part, 256)
	var writing sync.WaitGroup
	writing.Go(func() {
		for p := range parts { // to the end, even if writing fails: otherwise the reader blocks
			time.Sleep(time.Until(p.due))
			_, _ = dst.Write(p.data)
		}
	})
	for {
		buf := make([]byte, 8<<10)
		n, err := src.Read(buf)
		if n > 0 {
			parts <- part{buf[:n], time.Now().Add(d.by)}
		}
		if err != nil {
			break
		}
	}
	close(parts)
	writing.Wait()
}

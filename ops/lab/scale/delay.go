package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Line is how slow the way between clients and a server is.
type Line struct {
	There, Back time.Duration // from a client to the server, and back
	// Lost is the part of what is sent at once that is lost, 0 to 1, in both directions. It, and all that follows on
	// its connection, comes a round trip later: the receiver's acknowledgements of what follows tell the sender, who
	// sends it again.
	Lost float64
}

// Delay is a proxy that forwards in order what clients and server send, as late as its line says. Make it with Listen.
type Delay struct {
	listener net.Listener
	target   string // host:port
	line     Line
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// Listen opens a Delay in front of target, on a free port of 127.0.0.1.
func Listen(target string, line Line) (*Delay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("delay %s: %w", target, err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // ends in Close
	d := &Delay{listener: l, target: target, line: line, cancel: cancel}
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
		d.forward(client, server, d.line.Back)
		_ = client.Close()
	})
	d.forward(server, client, d.line.There)
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
func (d *Delay) forward(dst io.Writer, src io.Reader, by time.Duration) {
	if by == 0 && d.line.Lost == 0 {
		_, _ = io.Copy(dst, src)
		return
	}
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
			late := by
			if rand.Float64() < d.line.Lost { // the writer is late for what follows too
				late += d.line.There + d.line.Back
			}
			parts <- part{buf[:n], time.Now().Add(late)}
		}
		if err != nil {
			break
		}
	}
	close(parts)
	writing.Wait()
}

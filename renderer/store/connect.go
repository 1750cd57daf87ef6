package store

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of connecting.
const (
	// dialTimeout is how long the network may take to reach Postgres.
	dialTimeout = 2 * time.Second
	// answerTimeout is how long Postgres may then take to answer. A frozen Postgres answers when it thaws, and each
	// attempt that was given up before costs it a process then. A host that has vanished is noticed by keepAlive.
	answerTimeout = 15 * time.Second
	// connectPause is the time from a failed attempt to the next one. A Postgres that replays its log starts a process
	// for each attempt.
	connectPause = 25 * time.Millisecond
	// cancelWait is how long the cancellation of a query waits for its turn. After that the query is not cancelled; its
	// connection is closed.
	cancelWait = time.Second
	// passOver is for how long a host that was not reached is passed over.
	passOver = 5 * time.Second
)

// keepAlive notices after 11 s that the host of an idle connection has vanished.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

// gate lets one attempt to connect run at a time, and one cancellation of a query, which needs a connection too. So a
// Postgres that answers nobody has one attempt of each pool to answer when it is back, however many requests there
// were. Whoever waits for an attempt that fails gets its error, as does everybody within connectPause of it.
//
// Of several hosts one that was not reached is passed over for a while, if another one was reached since.
//
// It is a tracer of pgx, because only that learns how an attempt ended.
type gate struct {
	dialer  net.Dialer
	several bool          // there are several hosts
	cancels chan struct{} // of capacity 1: filled by the cancellation that runs

	mu      sync.Mutex
	current *attempt          // nil: none
	last    *attempt          // the last one that ended, if it failed
	dials   map[string]dialed // how the last dial of each address ended, if there are several
}

// dialed is how a dial ended.
type dialed struct {
	at  time.Time
	err error
}

// attempt is an attempt to connect.
type attempt struct {
	ended chan struct{} // closed at its end
	err   error         // set before that
	at    time.Time     // of its end, set before that
}

func newGate() *gate {
	return &gate{
		dialer: net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}, cancels: make(chan struct{}, 1),
		dials: map[string]dialed{},
	}
}

// admitKey finds in the context of an attempt what admit returned.
type admitKey struct{}

// admitted is an attempt that runs, or the error of the one that was waited for.
type admitted struct {
	attempt *attempt
	err     error
}

// admit waits until no attempt runs, and begins one.
func (g *gate) admit(ctx context.Context) admitted {
	for {
		g.mu.Lock()
		running := g.current
		if running == nil {
			if g.last != nil && time.Since(g.last.at) < connectPause {
				defer g.mu.Unlock()
				return admitted{err: g.last.err}
			}
			a := &attempt{ended: make(chan struct{})}
			g.current = a
			g.mu.Unlock()
			return admitted{attempt: a}
		}
		g.mu.Unlock()
		select {
		case <-ctx.Done():
			return admitted{err: ctx.Err()}
		case <-running.ended:
		}
		if running.err != nil {
			return admitted{err: running.err}
		}
	}
}

// TraceConnectStart implements pgx.ConnectTracer.
func (g *gate) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return context.WithValue(ctx, admitKey{}, g.admit(ctx))
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (g *gate) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	a := ctx.Value(admitKey{}).(admitted).attempt
	if a == nil {
		return
	}
	a.err, a.at = data.Err, time.Now()
	g.mu.Lock()
	g.current, g.last = nil, nil
	if a.err != nil {
		g.last = a
	}
	g.mu.Unlock()
	close(a.ended)
}

// TraceQueryStart implements pgx.QueryTracer, which every tracer has to.
func (*gate) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*gate) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// dial makes the network connection of an attempt, or of the cancellation of a query.
func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if a, ok := ctx.Value(admitKey{}).(admitted); ok {
		if a.err != nil {
			return nil, a.err
		}
		return g.dialOne(ctx, network, address)
	}
	waiting, cancel := context.WithTimeout(ctx, cancelWait)
	defer cancel()
	select {
	case g.cancels <- struct{}{}:
	case <-waiting.Done():
		return nil, waiting.Err()
	}
	conn, err := g.dialer.DialContext(ctx, network, address)
	if err != nil {
		<-g.cancels
		return nil, err
	}
	return &cancelConn{Conn: conn, done: sync.OnceFunc(func() { <-g.cancels })}, nil
}

// errUnreached: another host was reached after this one was not.
var errUnreached = errors.New("not reached a moment ago")

// dialOne dials an address of an attempt. Without this a host that has vanished would cost each attempt dialTimeout.
func (g *gate) dialOne(ctx context.Context, network, address string) (net.Conn, error) {
	if g.several && g.passesOver(address) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errUnreached}
	}
	conn, err := g.dialer.DialContext(ctx, network, address)
	if g.several && ctx.Err() == nil {
		g.mu.Lock()
		g.dials[address] = dialed{time.Now(), err}
		g.mu.Unlock()
	}
	return conn, err
}

// passesOver reports that the last dial of address failed less than passOver ago, and that of another one did not.
func (g *gate) passesOver(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if last := g.dials[address]; last.err == nil || time.Since(last.at) > passOver {
		return false
	}
	for _, other := range g.dials {
		if other.err == nil {
			return true
		}
	}
	return false
}

// cancelConn is the connection of a cancellation.
type cancelConn struct {
	net.Conn
	done func()
}

func (c *cancelConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// install makes every connection of config pass the gate. Of several hosts the next one is tried soon.
func (g *gate) install(config *pgx.ConnConfig) {
	config.Tracer, config.DialFunc = g, g.dial
	config.ConnectTimeout = dialTimeout + answerTimeout
	for _, other := range config.Fallbacks {
		if other.Host != config.Host || other.Port != config.Port {
			config.ConnectTimeout, g.several = dialTimeout, true
		}
	}
}

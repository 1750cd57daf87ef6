package edge

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// How an edge finds out that no renderer runs: 400 ms after the last message of one, as long as NATS is quick, a
// request fails that has waited for 100 ms or longer.
const (
	pulseAfter  = 100 * time.Millisecond // without a message of a renderer for so long, requests that wait ping them
	pulsePings  = 2                      // so many of them in turn
	pulseWithin = 150 * time.Millisecond // a renderer answers a ping in less than a millisecond, however busy it is
	pulseServer = 50 * time.Millisecond  // if NATS, or this process, is late by so much, the ping tells nothing
)

// errSilent: renderers are connected, but none of them runs. It counts as wire.ErrUnavailable.
var errSilent error = silentError{}

type silentError struct{}

func (silentError) Error() string        { return "no renderer answers a ping" }
func (silentError) Is(target error) bool { return target == wire.ErrUnavailable }

// pulse tells renderers that take long for a page from renderers that are frozen. NATS needs some seconds to notice
// that a client is frozen; until then its requests get no answer at all.
type pulse struct {
	nc    *nats.Conn
	heard atomic.Int64 // when a renderer last answered anything, as in package monotonic; 0: never
}

// hear records that a renderer has answered.
func (p *pulse) hear() { p.heard.Store(monotonic.Now()) }

// watch returns a context for a request, which ends when no renderer runs; its cause is what check returns. Call stop
// at the request's end.
func (p *pulse) watch(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(pulseAfter, func() {
		for ctx.Err() == nil {
			if rest := pulseAfter - monotonic.Since(p.heard.Load()); rest > 0 {
				sleep.For(ctx, rest)
				continue
			}
			if err := p.check(ctx); err != nil {
				cancel(err)
				return
			}
			sleep.For(ctx, pulseAfter) // the pings may have ended at once, and told nothing
		}
	})
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// check returns why no renderer answers pings: errSilent, or nats.ErrNoResponders if none is connected any more. nil:
// one answers, or the pings tell nothing.
func (p *pulse) check(ctx context.Context) (err error) {
	for range pulsePings {
		if err = p.ping(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (p *pulse) ping(ctx context.Context) error {
	server, cancel := context.WithTimeout(ctx, pulseServer)
	defer cancel()
	if p.nc.FlushWithContext(server) != nil {
		return nil
	}
	asked := monotonic.Now()
	within, cancel := context.WithTimeout(ctx, pulseWithin)
	defer cancel()
	_, err := p.nc.RequestWithContext(within, pingSubject, nil)
	if err == nil {
		p.hear()
	}
	switch late := monotonic.Since(asked) > pulseWithin+pulseServer; {
	case ctx.Err() != nil || !p.nc.IsConnected() || p.heard.Load() >= asked || late:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return errSilent
	case errors.Is(err, nats.ErrNoResponders):
		return err
	}
	return nil
}

// pingSubject reaches all renderers.
var pingSubject = micro.APIPrefix + "." + micro.PingVerb.String() + "." + wire.ServiceRenderer

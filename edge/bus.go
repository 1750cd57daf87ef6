package edge

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/nats-io/nats.go"
)

// Bounds of asking.
const (
	patience      = 400 * time.Millisecond // nobody listens: a stale page or an apology comes within 500 ms
	restartWindow = 3 * time.Second        // NATS is away or just back: its listeners take a moment to be back too
	backoffFirst  = 5 * time.Millisecond   // between tries while nobody listens
	backoffMax    = 80 * time.Millisecond
	hedgeFloor    = 3 * time.Millisecond
	hedgeFirst    = 100 * time.Millisecond // before any answer has been timed
	hedgeMax      = 8                      // further requests for one answer
	extraRate     = .2                     // further requests, as a part of all that are under way
	extraFloor    = 20                     // but this many at least: of few requests, many wait for a frozen renderer, and each holds its place
	retries       = 2                      // further attempts after one that was refused
)

// bus asks renderers.
type bus struct {
	nc     *nats.Conn
	clock  *wire.Clock
	meters *meters
	delays [page.KindCount]quantile
	ask    [page.KindCount]failsafe.Executor[*nats.Msg]

	lostAt atomic.Int64 // unix nanoseconds when the connection was lost, 0 while there is one
	backAt atomic.Int64 // when it last came back
}

// newBus makes, for each kind, the ways of waiting well: further requests after the recent 99th percentile of that kind, and retries when
// a renderer could not, each on a budget, so that trouble is not made worse by asking more.
func newBus(nc *nats.Conn, clock *wire.Clock, m *meters) *bus {
	b := &bus{nc: nc, clock: clock, meters: m}
	extra := budget.NewBuilder().WithMaxRate(extraRate).WithMinConcurrency(extraFloor)
	hedges := extra.Build()
	retry := retrypolicy.NewBuilder[*nats.Msg]().HandleIf(func(_ *nats.Msg, err error) bool { return refused(err) && !errors.Is(err, nats.ErrNoResponders) }).
		WithBackoff(backoffFirst, backoffMax).WithJitterFactor(.2).WithMaxRetries(retries).WithBudget(extra.Build()).ReturnLastFailure().
		OnRetry(func(failsafe.ExecutionEvent[*nats.Msg]) { m.retries.Inc() }).Build()
	for _, k := range page.Kinds() {
		b.delays[k].set(hedgeFirst)
		hedge := hedgepolicy.NewBuilderWithDelayFunc(func(e failsafe.ExecutionAttempt[*nats.Msg]) time.Duration {
			return max(hedgeFloor, b.delays[k].value(), e.ElapsedTime()) // each waits twice as long as the one before
		}).WithMaxHedges(hedgeMax).WithBudget(hedges).
			CancelIf(func(_ *nats.Msg, err error) bool { return !errors.Is(err, errOthersWork) }).
			OnHedge(func(failsafe.ExecutionEvent[*nats.Msg]) { m.hedges.Inc() }).Build()
		b.ask[k] = failsafe.With(retry, hedge)
	}
	return b
}

// refused: this renderer could not answer, and another one may.
func refused(err error) bool {
	return errors.Is(err, wire.ErrBusy) || errors.Is(err, wire.ErrUnavailable) || errors.Is(err, wire.ErrExpired) || errors.Is(err, nats.ErrNoResponders)
}

// errOthersWork: one of several requests for the same answer was refused while another is still being worked on.
var errOthersWork = errors.New("refused, but asked elsewhere too")

// watch notes when the connection is lost and comes back, until ctx ends.
func (b *bus) watch(ctx context.Context) {
	changes := b.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED)
	defer b.nc.RemoveStatusListener(changes)
	if !b.nc.IsConnected() {
		b.lostAt.CompareAndSwap(0, time.Now().UnixNano())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case status, ok := <-changes:
			switch now := time.Now().UnixNano(); {
			case !ok:
				return
			case status == nats.CONNECTED:
				b.lostAt.Store(0)
				b.backAt.Store(now)
			default:
				b.lostAt.CompareAndSwap(0, now)
			}
		}
	}
}

// restarting reports that NATS is away for no longer than a restart takes, or is just back.
func (b *bus) restarting() bool {
	at := b.lostAt.Load()
	if b.nc.IsConnected() {
		at = b.backAt.Load()
		return at != 0 && time.Since(time.Unix(0, at)) < restartWindow
	}
	return at == 0 || time.Since(time.Unix(0, at)) < restartWindow
}

// get requests ref, its body packed by gzip if that can be used, and gives the reply message with its envelope. While nobody listens it asks
// again, for as long as wait, or as a restart of NATS takes. Errors wrap those of package wire.
func (b *bus) get(ctx context.Context, ref page.Ref, id string, gzip bool, wait time.Duration) (*nats.Msg, error) {
	msg := nats.NewMsg(ref.Subject())
	msg.Header.Set(wire.HeaderRequest, id)
	if gzip {
		msg.Header.Set(wire.HeaderAccept, wire.EncodingGzip)
	}
	if until, ok := ctx.Deadline(); ok {
		msg.Header.Set(wire.HeaderDeadline, wire.FormatTime(until.Add(b.clock.Offset())))
	}
	start, pause := time.Now(), backoffFirst
	for {
		reply, err := b.attempt(ctx, ref, msg)
		if err == nil {
			return reply, nil
		}
		if errors.Is(context.Cause(ctx), errAbandoned) { // whoever is at it may stop; a note that is lost costs no more than the work
			_ = b.nc.Publish(wire.CancelSubject(id), nil)
		}
		waited := time.Since(start)
		again := errors.Is(err, nats.ErrNoResponders) && (waited < wait || waited < restartWindow && b.restarting())
		if !again || !sleep.For(ctx, pause) {
			b.meters.busErrors.WithLabelValues(wire.Code(err)).Inc()
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		b.meters.retries.Inc()
		pause = min(2*pause, backoffMax)
	}
}

// attempt is one request with its hedges and retries.
func (b *bus) attempt(ctx context.Context, ref page.Ref, msg *nats.Msg) (*nats.Msg, error) {
	if !b.nc.IsConnected() {
		switch {
		case !b.restarting():
			return nil, nats.ErrConnectionReconnecting
		case !b.nc.HeadersSupported(): // there has never been a connection, and the client does not know yet what a server can do
			return nil, nats.ErrNoResponders
		}
		var cancel context.CancelFunc // the client holds the request back and sends it when the connection is there again
		ctx, cancel = context.WithTimeout(ctx, restartWindow)
		defer cancel()
	}
	var working atomic.Int32
	reply, err := b.ask[ref.Kind()].WithContext(ctx).GetWithExecution(func(e failsafe.Execution[*nats.Msg]) (*nats.Msg, error) {
		working.Add(1)
		var reply *nats.Msg
		err := b.look(e)
		if err == nil {
			reply, err = b.once(e.Context(), ref.Kind(), msg)
		}
		if others := working.Add(-1); others > 0 && refused(err) {
			err = fmt.Errorf("%w: %w", errOthersWork, err)
		}
		return reply, err
	})
	if errors.Is(err, budget.ErrExceeded) {
		err = wire.ErrBusy // there have been too many refusals to ask again
	}
	return reply, err
}

// look waits, before a hedge is sent, for a pong from the server, and as long again as that took: an answer that is already on its way
// comes before it. In a process that has more to do than processors to do it, as when thousands ask in one moment, that is where questions and
// answers are, and to ask again would add to the crowd. (10,000 visitors at once for one page, over 4 edges on 2 processors: 9 renders
// without, 4 with, and a fill.)
func (b *bus) look(e failsafe.Execution[*nats.Msg]) error {
	if !e.IsHedge() {
		return nil
	}
	begun := time.Now()
	if err := b.nc.FlushWithContext(e.Context()); err != nil {
		return err
	}
	if !sleep.For(e.Context(), time.Since(begun)) {
		return e.Context().Err()
	}
	return nil
}

// once is one message and its answer.
func (b *bus) once(ctx context.Context, kind page.Kind, msg *nats.Msg) (*nats.Msg, error) {
	start := time.Now()
	reply, err := b.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, err
	}
	if err = wire.ErrorOf(reply); err == nil { // a refusal is quick and says nothing of how long an answer takes
		b.delays[kind].add(time.Since(start))
	}
	return reply, err
}

// quantile estimates the recent 99th percentile of a stream of durations: up by 99 steps for each that is longer, down by one for each
// that is shorter, in steps proportional to the estimate (stochastic approximation, Robbins and Monro 1951). A step up may go beyond the
// duration that caused it: cut short there, steps up were so small that every ninth page was asked for again under load, not every hundredth.
// Memory: one number; a lost update between two writers does no harm.
type quantile struct{ ns atomic.Int64 }

func (q *quantile) value() time.Duration { return time.Duration(q.ns.Load()) }

func (q *quantile) set(d time.Duration) { q.ns.Store(int64(d)) }

func (q *quantile) add(d time.Duration) {
	const p, step = .99, .005 // it halves within 140 durations that are shorter
	v := float64(q.ns.Load())
	if float64(d) > v {
		v += v * step * p / (1 - p)
	} else {
		v -= v * step
	}
	q.ns.Store(int64(max(v, float64(hedgeFloor)/10)))
}

package edge

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/nats-io/nats.go"

	"flickrkillr/edge/upload"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Bounds of requests on the bus.
const (
	noResponderWait = 400 * time.Millisecond // without renderers the client gets a stale page or an error within 500 ms
	restartWindow   = 3 * time.Second        // a restart of NATS, and the time until its subscribers are back
	backoffFirst    = 5 * time.Millisecond   // between tries while there is no renderer
	backoffMax      = 80 * time.Millisecond
	retryRate       = .2                     // retries, as a part of all requests in flight
	retryLeast      = 20                     // at least so many
	retries         = 2                      // after a refusal
	retryWithin     = 100 * time.Millisecond // "unavailable" later, as of a frozen Postgres, others say too
)

// errLate: a renderer said after retryWithin that its database does not answer.
var errLate = errors.New("said late")

// renderers requests pages from the renderers. It hedges: when a reply takes longer than the recent 99th percentile of
// its kind, it requests the page again. It retries when a renderer refuses. Both have a budget, so that retries do not
// make an overload worse. When no renderer runs, it gives up.
type renderers struct {
	nc      *nats.Conn
	clock   *wire.Clock
	metrics *metrics
	delays  [page.KindCount]quantile
	retry   failsafe.Executor[*nats.Msg]
	hedges  hedgeBudget
	pulse   pulse
	waiting *upload.Visitors // for what is not an upload

	lostAt atomic.Int64 // when the connection was lost, as in package monotonic; 0 while there is one
	backAt atomic.Int64 // at which it last came back
}

func newRenderers(nc *nats.Conn, clock *wire.Clock, m *metrics) *renderers {
	r := &renderers{nc: nc, clock: clock, metrics: m, pulse: pulse{nc: nc}, waiting: upload.NewVisitors()}
	for k := range r.delays {
		r.delays[k].set(hedgeFirst)
	}
	r.retry = failsafe.With(retrypolicy.NewBuilder[*nats.Msg]().
		HandleIf(func(_ *nats.Msg, err error) bool {
			return refused(err) && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, errLate)
		}).
		WithBackoff(backoffFirst, backoffMax).WithJitterFactor(.2).WithMaxRetries(retries).
		WithBudget(budget.NewBuilder().WithMaxRate(retryRate).WithMinConcurrency(retryLeast).Build()).
		ReturnLastFailure().
		OnRetry(func(failsafe.ExecutionEvent[*nats.Msg]) { m.retries.Inc() }).Build())
	return r
}

// refused reports that this renderer could not answer, and another one may; or that the connection to the bus broke
// before the answer came.
func refused(err error) bool {
	return errors.Is(err, wire.ErrBusy) || errors.Is(err, wire.ErrUnavailable) || errors.Is(err, wire.ErrExpired) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrDisconnected)
}

// watch records when the connection is lost and comes back, until ctx ends.
func (r *renderers) watch(ctx context.Context) {
	changes := r.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED)
	defer r.nc.RemoveStatusListener(changes)
	if !r.nc.IsConnected() {
		r.lostAt.CompareAndSwap(0, monotonic.Now())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case status, ok := <-changes:
			switch now := monotonic.Now(); {
			case !ok:
				return
			case status == nats.CONNECTED:
				r.lostAt.Store(0)
				r.backAt.Store(now)
			default:
				r.lostAt.CompareAndSwap(0, now)
			}
		}
	}
}

// restarting reports that NATS has been away for no longer than a restart takes, or has just come back.
func (r *renderers) restarting() bool {
	at := r.lostAt.Load()
	if r.nc.IsConnected() {
		at = r.backAt.Load()
		return at != 0 && monotonic.Since(at) < restartWindow
	}
	return at == 0 || monotonic.Since(at) < restartWindow
}

// get requests a page. Errors wrap those of package wire. Renderers subscribe to the assets that they have: if there is
// no subscriber for one, although a renderer lists its assets, then the asset does not exist.
func (r *renderers) get(ctx context.Context, w want) (*nats.Msg, error) {
	if w.ref.Kind() != page.KindAsset {
		return r.request(ctx, w, noResponderWait)
	}
	w.gzip = false // the compressed file is an asset of its own
	msg, err := r.request(ctx, w, 0)
	if !errors.Is(err, nats.ErrNoResponders) {
		return msg, err
	}
	asking, cancel := context.WithTimeout(ctx, noResponderWait)
	defer cancel()
	if _, err := r.nc.RequestWithContext(asking, wire.SubjectAssets, nil); err == nil {
		return nil, fmt.Errorf("%s: %w", w.ref, wire.ErrNotFound)
	}
	return r.request(ctx, w, noResponderWait)
}

// request requests a page, see read.
func (r *renderers) request(ctx context.Context, w want, wait time.Duration) (*nats.Msg, error) {
	msg := nats.NewMsg(w.ref.Subject())
	mark(msg.Header, w.number, w.trace)
	if w.gzip {
		msg.Header.Set(wire.HeaderAccept, wire.EncodingGzip)
	}
	w.newer.told.Set(msg.Header)
	reply, err := r.read(ctx, w.ref.Kind(), msg, wait)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.ref, err)
	}
	return reply, nil
}

// picture requests a picture for one visitor, as it would one for everybody: a second copy of the request is sent when
// that helps, and nobody goes on when the visitor has left.
func (r *renderers) picture(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	ctx, stop := context.WithTimeout(ctx, wire.ImageDeadline)
	defer stop()
	reply, err := r.read(ctx, page.KindImage, msg, noResponderWait)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", msg.Subject, err)
	}
	return reply, nil
}

// read makes a request that changes nothing. It gives renderers the deadline of ctx. While the subject has no
// subscriber, read tries again for as long as wait, or as a restart of NATS takes.
func (r *renderers) read(ctx context.Context, kind page.Kind, msg *nats.Msg, wait time.Duration) (*nats.Msg, error) {
	r.waiting.Arrive()
	defer r.waiting.Leave()
	// Without cluster time a deadline by a clock that is an hour behind has passed already: the renderer sets one.
	if until, ok := ctx.Deadline(); ok && r.clock.Known() {
		_, latest := r.clock.Bounds(until)
		msg.Header.Set(wire.HeaderDeadline, wire.FormatTime(latest))
	}
	start, pause := time.Now(), backoffFirst
	for {
		reply, err := r.try(ctx, kind, msg)
		if err == nil {
			return reply, nil
		}
		cause := context.Cause(ctx)
		if errors.Is(cause, errAbandoned) || errors.Is(cause, context.Canceled) || errors.Is(err, errSilent) {
			// best effort: a lost message only costs a render
			_ = r.nc.Publish(wire.CancelSubject(msg.Header.Get(wire.HeaderRequest)), nil)
		}
		waited := time.Since(start)
		again := errors.Is(err, nats.ErrNoResponders) && (waited < wait || waited < restartWindow && r.restarting())
		if !again || !sleep.For(ctx, pause) {
			r.metrics.busErrors.WithLabelValues(wire.Code(err)).Inc()
			return nil, err
		}
		r.metrics.retries.Inc()
		pause = min(2*pause, backoffMax)
	}
}

// ask makes a request for one visitor: an action, which its key makes safe to repeat, or a private page. It is not
// hedged, because what takes long here is work. It is made again while nobody listens, after a refusal, and, unless it
// has a password hashed, after half of limit, until limit has passed. Passwords may wait in a queue for that long, and
// a second copy there would only make it longer. An error that a renderer has replied is in the reply, unless another
// renderer may do better.
func (r *renderers) ask(ctx context.Context, msg *nats.Msg, limit time.Duration) (*nats.Msg, error) {
	attempt := limit / 2
	if wire.HashesPassword(msg.Subject) {
		attempt = limit
	}
	return r.persist(ctx, msg, persistence{limit: limit, attempt: attempt, unheard: noResponderWait})
}

// persistence says for how long a request is made again.
type persistence struct {
	limit   time.Duration // for all attempts
	attempt time.Duration // for one
	unheard time.Duration // while nobody listens, or NATS is away; around a restart of NATS at least restartWindow
}

// persist is ask with another persistence.
func (r *renderers) persist(ctx context.Context, msg *nats.Msg, p persistence) (*nats.Msg, error) {
	r.waiting.Arrive()
	defer r.waiting.Leave()
	ctx, stop := context.WithTimeout(ctx, p.limit)
	defer stop()
	start, pause := time.Now(), backoffFirst
	if r.clock.Known() {
		_, latest := r.clock.Bounds(start.Add(p.limit))
		msg.Header.Set(wire.HeaderDeadline, wire.FormatTime(latest))
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, p.attempt)
		reply, err := r.askOnce(attempt, msg)
		cancel()
		again := errors.Is(err, context.DeadlineExceeded) || refused(err) && !errors.Is(err, nats.ErrNoResponders)
		waited := time.Since(start)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			again = waited < p.unheard || waited < restartWindow && r.restarting()
		case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionReconnecting):
			again = waited < p.unheard && p.unheard > noResponderWait
		}
		if err == nil {
			return reply, nil
		}
		if !again || ctx.Err() != nil || !sleep.For(ctx, pause) {
			r.metrics.busErrors.WithLabelValues(wire.Code(err)).Inc()
			return nil, fmt.Errorf("%s: %w", msg.Subject, err)
		}
		r.metrics.retries.Inc()
		pause = min(2*pause, askPause)
	}
}

// askPause is the longest pause between two attempts of ask.
const askPause = 500 * time.Millisecond

// askOnce makes a request once. It returns the reply with an error in it, unless that is a refusal.
func (r *renderers) askOnce(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if !r.nc.IsConnected() && !r.restarting() {
		return nil, nats.ErrConnectionReconnecting
	}
	reply, err := r.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, err
	}
	if err := wire.ErrorOf(reply); refused(err) {
		return nil, err
	}
	return reply, nil
}

// try sends one request, with its hedges and retries.
func (r *renderers) try(ctx context.Context, kind page.Kind, msg *nats.Msg) (*nats.Msg, error) {
	if !r.nc.IsConnected() {
		switch {
		case !r.restarting():
			return nil, nats.ErrConnectionReconnecting
		case !r.nc.HeadersSupported(): // before the first connection the client does not know what the server can do
			return nil, nats.ErrNoResponders
		}
		var cancel context.CancelFunc // the client sends the request when the connection is back
		ctx, cancel = context.WithTimeout(ctx, restartWindow)
		defer cancel()
	}
	ctx, stop := r.pulse.watch(ctx)
	defer stop()
	reply, err := r.retry.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[*nats.Msg]) (*nats.Msg, error) {
		sent := time.Now()
		reply, err := r.hedged(e.Context(), kind, msg)
		if errors.Is(err, wire.ErrUnavailable) && time.Since(sent) > retryWithin && !r.restarting() {
			err = fmt.Errorf("%w: %w", errLate, err)
		}
		return reply, err
	})
	switch cause := context.Cause(ctx); {
	case err != nil && (errors.Is(cause, errSilent) || errors.Is(cause, nats.ErrNoResponders)):
		err = cause
	case errors.Is(err, budget.ErrExceeded):
		err = wire.ErrBusy // too many refusals: the budget of retries is used up
	}
	return reply, err
}

// roundTrip sends one message and waits for its reply.
func (r *renderers) roundTrip(ctx context.Context, kind page.Kind, msg *nats.Msg, hedge bool) (*nats.Msg, error) {
	if hedge {
		if err := r.beforeHedge(ctx); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	reply, err := r.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, err
	}
	r.pulse.hear()
	if err = wire.ErrorOf(reply); err == nil { // a refusal is quick and does not tell how long a reply takes
		r.delays[kind].add(time.Since(start))
	}
	return reply, err
}

// quantile estimates the recent 99th percentile of a stream of durations (stochastic approximation, Robbins and Monro
// 1951): it rises by 99 steps at a longer duration and falls by one at a shorter one, in steps proportional to the
// estimate. A step up may pass the duration that caused it; limited to that, the steps were so small that every ninth
// page was hedged under load, not every hundredth. It takes one number; an update that is lost between two writers does
// no harm.
type quantile struct{ ns atomic.Int64 }

func (q *quantile) value() time.Duration { return time.Duration(q.ns.Load()) }

func (q *quantile) set(d time.Duration) { q.ns.Store(int64(d)) }

func (q *quantile) add(d time.Duration) {
	const p, step = .99, .005 // it halves within 140 shorter durations
	v := float64(q.ns.Load())
	if float64(d) > v {
		v += v * step * p / (1 - p)
	} else {
		v -= v * step
	}
	q.ns.Store(int64(max(v, float64(hedgeFloor)/10)))
}

package renderer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// restartLimit is how long Postgres may be away before that counts as an outage. Requests wait for a restart but not
// in an outage, since an edge that gets an error soon can show a stale page. A crash is replayed in about 3 s; edges
// give up after 5.
const restartLimit = 4 * time.Second

// outage records since when Postgres has been away: refusing or closing connections, or answering nobody. It is safe
// for concurrent use. Make it with newOutage.
//
// While Postgres has been away for longer than restartLimit, nobody asks it but probe: requests that time out would
// close good connections, and leave attempts to connect that a frozen Postgres would have to answer when it is back.
type outage struct {
	since    atomic.Int64  // as in package monotonic; 0 while Postgres is there
	answered atomic.Int64  // time of the last successful query, likewise
	declared chan struct{} // of capacity 1: Postgres has been away for longer than restartLimit

	mu    sync.Mutex
	ended chan struct{} // closed, and replaced, when Postgres is back
}

func newOutage() *outage {
	return &outage{declared: make(chan struct{}, 1), ended: make(chan struct{})}
}

// note records the result of a query.
func (o *outage) note(err error) {
	switch {
	case err == nil:
		o.answered.Store(monotonic.Now())
		if o.since.Swap(0) != 0 {
			o.mu.Lock()
			close(o.ended)
			o.ended = make(chan struct{})
			o.mu.Unlock()
		}
	case store.IsTransient(err):
		o.since.CompareAndSwap(0, monotonic.Now())
		o.declare()
	}
}

// silent records a query that got no answer within timeout. When no other query succeeded in the second half of that,
// not even one of the relay, which polls every 40 ms while active and every 120 ms otherwise, Postgres is frozen or cut
// off: silent then declares an outage at once. Otherwise only that query was slow. A freeze that comes just after the
// query began counts too; if all queries were slow, the first probe ends the outage.
func (o *outage) silent(timeout time.Duration) {
	if monotonic.Since(o.answered.Load()) > timeout/2 {
		o.since.CompareAndSwap(0, monotonic.Now()-int64(restartLimit)-1)
		o.declare()
	}
}

// declare wakes probe if Postgres has been away for longer than restartLimit.
func (o *outage) declare() {
	if !o.long() {
		return
	}
	select {
	case o.declared <- struct{}{}:
	default: // it has not yet seen the last one
	}
}

// length is how long Postgres has been away; 0 while it is there.
func (o *outage) length() time.Duration {
	if since := o.since.Load(); since != 0 {
		return max(1, monotonic.Since(since))
	}
	return 0
}

// long reports that Postgres has been away for longer than restartLimit.
func (o *outage) long() bool { return o.length() > restartLimit }

// restarting reports that Postgres is away, but not for longer than restartLimit.
func (o *outage) restarting() bool { return o.since.Load() != 0 && !o.long() }

// errAway: Postgres has been away for longer than restartLimit, and was not asked.
var errAway = fmt.Errorf("%w: Postgres is away", wire.ErrUnavailable)

// wait returns at once unless Postgres has been away for longer than restartLimit. Then it waits for its return, for
// limit at most, and returns errAway when that is over.
func (o *outage) wait(ctx context.Context, limit time.Duration) error {
	o.mu.Lock()
	ended := o.ended
	o.mu.Unlock()
	if !o.long() {
		return nil
	}
	o.declare()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	case <-timeout.C:
	}
	return errAway
}

// probe asks whether Postgres is back, one attempt after the other, whenever it has been away for longer than
// restartLimit, until ctx ends.
func (o *outage) probe(ctx context.Context, ask func(context.Context) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.declared:
		}
		for o.long() {
			if err := ask(ctx); err == nil {
				o.note(nil)
			} else if !sleep.For(ctx, probePause) {
				return
			}
		}
	}
}

// read reads the rows of pages, see newest. Pages without rows can always be had, and say nothing about Postgres.
func (s *Service) read(ctx context.Context, refs []page.Ref, wants []wire.Conditions) (drafts []*draft, err error) {
	if !hasRows(refs[0].Kind()) {
		err = toWireError(contained(func() (err error) {
			drafts, err = s.maker.draft(ctx, refs)
			return err
		}))
		return drafts, err
	}
	drafts, sources, err := newest(ctx, s, refs, wants, reading[*draft]{
		func(ctx context.Context, from *Pages, refs []page.Ref) ([]*draft, error) {
			return from.draft(ctx, refs)
		},
		func(d *draft) (time.Time, []wire.Dep) { return d.readAt, d.depends },
	})
	if err != nil {
		return nil, err // what drafts there are may be nil
	}
	for i, d := range drafts {
		d.source = sources[i]
	}
	return drafts, nil
}

// Pauses and waits in an outage.
const (
	probePause  = 100 * time.Millisecond // from a failed probe to the next one
	outageGrace = 60 * time.Millisecond  // that a request waits for the end of the outage
)

// retryPause is how long untilOutage waits between two attempts: a full Postgres refuses connections at once.
const retryPause = 20 * time.Millisecond

// untilOutage calls ask until it succeeds, fails for good, or Postgres is away for longer than restartLimit. An attempt
// ends after timeout. During an outage it does not call ask, and waits outageGrace for the outage to end. Within an
// attempt the store retries what it may; an error that it leaves to its caller, such as too_many_connections, starts
// the count of restartLimit at once. Errors wrap one of schema/wire's where one applies.
func (s *Service) untilOutage(ctx context.Context, timeout time.Duration, ask func(context.Context) error) error {
	if err := s.outage.wait(ctx, outageGrace); err != nil {
		return err
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		err := contained(func() error { return ask(attempt) })
		waited := errors.Is(attempt.Err(), context.DeadlineExceeded)
		cancel()
		s.outage.note(err)
		if err != nil && waited && ctx.Err() == nil {
			s.outage.silent(timeout)
		}
		away := s.outage.length()
		again := store.IsTransient(err) || away > 0 && errors.Is(err, context.DeadlineExceeded)
		if err == nil || !again || away > restartLimit || ctx.Err() != nil {
			return toWireError(err)
		}
		if !sleep.For(ctx, retryPause) {
			return toWireError(err)
		}
	}
}

package renderer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// restartLimit is how long Postgres may be away before that counts as an outage. Requests wait for a restart but not
// in an outage, since an edge that gets an error soon can show a stale page.
const restartLimit = 3 * time.Second

// outage records since when Postgres has been away: refusing or closing connections, or answering nobody. The zero
// outage means it is there. It is safe for concurrent use.
type outage struct {
	since    atomic.Int64 // nanoseconds since 1970; 0 while Postgres is there
	answered atomic.Int64 // time of the last successful query, likewise
}

// note records the result of a query.
func (o *outage) note(err error) {
	switch {
	case err == nil:
		o.answered.Store(time.Now().UnixNano())
		o.since.Store(0)
	case store.IsTransient(err):
		o.since.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// silent records a query that got no answer within timeout. When no other query succeeded meanwhile, not even one of
// the relay, which polls every 40 ms while active and every 120 ms otherwise, Postgres is frozen or cut off: silent
// then declares an outage at once. Otherwise only that query was slow.
func (o *outage) silent(timeout time.Duration) {
	if now := time.Now(); now.UnixNano()-o.answered.Load() > int64(timeout) {
		o.since.CompareAndSwap(0, now.Add(-restartLimit-1).UnixNano())
	}
}

// length is how long Postgres has been away; 0 while it is there.
func (o *outage) length() time.Duration {
	if since := o.since.Load(); since != 0 {
		return max(1, time.Since(time.Unix(0, since)))
	}
	return 0
}

// read reads the rows of pages, with retries while Postgres restarts.
func (s *Service) read(ctx context.Context, refs []page.Ref) (drafts []*draft, err error) {
	err = s.untilOutage(ctx, s.cfg.ReadTimeout, func(ctx context.Context) (err error) {
		drafts, err = s.maker.draft(ctx, refs)
		return err
	})
	return drafts, err
}

// retryPause is how long untilOutage waits between two attempts: a full Postgres refuses connections at once.
const retryPause = 20 * time.Millisecond

// untilOutage calls ask until it succeeds, fails for good, or Postgres is away for longer than restartLimit. An attempt
// ends after timeout, or after 60 ms during an outage. Within an attempt the store retries what it may; an error that
// it leaves to its caller, such as too_many_connections, starts the count of restartLimit at once. Errors wrap one of
// schema/wire's where one applies.
func (s *Service) untilOutage(ctx context.Context, timeout time.Duration, ask func(context.Context) error) error {
	for {
		limit := timeout
		if s.outage.length() > restartLimit {
			limit = restartLimit / 50
		}
		attempt, cancel := context.WithTimeout(ctx, limit)
		err := contained(func() error { return ask(attempt) })
		waited := errors.Is(attempt.Err(), context.DeadlineExceeded)
		cancel()
		s.outage.note(err)
		if err != nil && waited && ctx.Err() == nil {
			s.outage.silent(limit)
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

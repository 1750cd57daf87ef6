package renderer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// restartLimit is how long Postgres may be away before it counts as gone: a restart is waited for, an outage is not,
// since an edge that is told soon can show a page of before.
const restartLimit = 3 * time.Second

// outage knows since when Postgres has been away: that is, refusing or ending connections, or saying nothing to
// anybody. The zero outage is none. It is safe for concurrent use.
type outage struct {
	since    atomic.Int64 // nanoseconds since 1970; 0 while Postgres is there
	answered atomic.Int64 // when it last did, likewise
}

// note takes in the outcome of having asked Postgres something.
func (o *outage) note(err error) {
	switch {
	case err == nil:
		o.answered.Store(time.Now().UnixNano())
		o.since.Store(0)
	case store.IsTransient(err):
		o.since.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// silent takes in that an answer has been waited for in vain for patience. When Postgres has said nothing to anybody
// else meanwhile, not to the relay either, which asks ten times a second, it is frozen or cut off: as long an outage as
// one that was waited for. Otherwise it was that question.
func (o *outage) silent(patience time.Duration) {
	if now := time.Now(); now.UnixNano()-o.answered.Load() > int64(patience) {
		o.since.CompareAndSwap(0, now.Add(-restartLimit-1).UnixNano())
	}
}

// length is how long Postgres has been away, 0 while it is there.
func (o *outage) length() time.Duration {
	if since := o.since.Load(); since != 0 {
		return max(1, time.Since(time.Unix(0, since)))
	}
	return 0
}

// read drafts pages for as long as it makes sense.
func (s *Service) read(ctx context.Context, refs []page.Ref) (drafts []*draft, err error) {
	err = s.withRetry(ctx, s.cfg.ReadTimeout, func(ctx context.Context) (err error) {
		drafts, err = s.maker.draft(ctx, refs)
		return err
	})
	return drafts, err
}

// withRetry asks Postgres for as long as it makes sense. One that says nothing is given up after patience. One that is
// away is asked again (the store does it) until restartLimit has passed since that was first seen, and from then on
// given up almost at once. Errors wrap one of schema/wire's where it says more than "internal".
func (s *Service) withRetry(ctx context.Context, patience time.Duration, ask func(context.Context) error) error {
	for {
		limit := patience
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
	}
}

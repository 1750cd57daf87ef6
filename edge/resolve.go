package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/popularity"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

const (
	maxRounds  = 3           // fetches for one request, if changes overtake the page or it is corrupt
	staleAfter = time.Second // how long a request waits for a fresh page if there is a stale one
)

var (
	errLeft = errors.New("the client has left before its answer")
	// errTookLong: a stale page is served instead of a fresh one.
	errTookLong = fmt.Errorf("no answer within %v: %w", staleAfter, wire.ErrUnavailable)
)

// client is a connection that waits for an answer.
type client interface {
	// Watch returns a context that ends when the client leaves. Call stop before the answer is written.
	Watch() (ctx context.Context, stop func())
}

// want is what a request needs.
type want struct {
	ref     page.Ref
	number  requestID
	gzip    bool       // a body that is compressed with gzip can be used
	atLeast []wire.Dep // no older page is served, except as a stale one
}

// fetched is a page and where it came from.
type fetched struct {
	page   *cache.Page
	tier   tier
	timing timing
}

// resolve finds the page and the variant that answer a request. It sets x.tier and x.timing and, for a stale page,
// x.cause. It returns errLeft if the client has left; for every other error the caller sends an error page.
func (s *Server) resolve(from client, x *exchange, ref page.Ref) (*cache.Page, *cache.Variant, error) {
	w := want{ref: ref, number: x.number, gzip: x.accept.Gzip(), atLeast: x.atLeast}
	for range maxRounds {
		got, stale, err := s.fetch(from, w, x.start)
		if err != nil && !stale {
			return nil, nil, err
		}
		variant := s.encoder.Variant(got.page, x.accept, got.tier == tierMemory)
		if !got.page.Broken() {
			x.tier, x.timing, x.cause = got.tier, got.timing, err
			s.observe(got, x.start)
			return got.page, variant, nil
		}
		s.popularity.Replace(got.page)
		w.gzip = false
	}
	return nil, nil, cache.ErrBroken
}

// observe reports to popularity that a fresh page answers a request.
func (s *Server) observe(got fetched, now time.Time) {
	switch got.tier {
	case tierMemory:
		s.popularity.Observe(got.page, popularity.FromMemory, now)
	case tierMemcached:
		s.popularity.Observe(got.page, popularity.FromMemcached, now)
	case tierRender:
		s.popularity.Observe(got.page, popularity.FromRenderer, now)
	}
}

// fetch gets a page from the in-process cache, from memcached or from a renderer, each only if the one before has no
// fresh page. If all fail it returns, with the error, the newest page that may be served as stale.
func (s *Server) fetch(from client, w want, now time.Time) (got fetched, stale bool, err error) {
	inMemory := s.memory.Get(w.ref)
	if inMemory != nil && s.usable(inMemory, w.atLeast, now) {
		return fetched{page: inMemory, tier: tierMemory}, false, nil
	}
	got, older := s.lookup(w)
	if got.page != nil {
		return got, false, nil
	}
	older = cache.Newer(inMemory, older)
	ctx, stop := from.Watch()
	limited := ctx
	if s.mayServeStale(older) {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, staleAfter, errTookLong)
		defer cancel()
	}
	lookup := got.timing.cache
	got, err = s.render(limited, w)
	got.timing.cache = lookup
	left := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
		return got, false, nil
	case left:
		return got, false, errLeft
	case s.mayServeStale(older): // it may have been deleted meanwhile
		got.page, got.tier = older, tierStale
		return got, true, err
	}
	return got, false, err
}

// usable reports whether a page may be served as fresh, to a client that must see some versions at least.
func (s *Server) usable(p *cache.Page, atLeast []wire.Dep, now time.Time) bool {
	return !p.Broken() && s.tracker.Fresh(&p.Basis, now) && p.Shows(atLeast)
}

func (s *Server) mayServeStale(p *cache.Page) bool {
	return p != nil && !p.Broken() && s.tracker.MayServeStale(&p.Basis, time.Now())
}

// lookup gets a page from memcached. If that is not fresh, lookup returns it as older.
func (s *Server) lookup(w want) (got fetched, older *cache.Page) {
	start := time.Now()
	p := s.memcached.Get(w.ref)
	got.timing.cache = time.Since(start)
	switch {
	case p == nil:
	case !s.usable(p, w.atLeast, time.Now()):
		return got, p
	case !w.gzip && !s.encoder.Intact(p):
		s.popularity.Replace(p)
	default:
		got.page, got.tier = p, tierMemcached
		s.memory.Put(p, s.clock.Now())
	}
	return got, nil
}

// render gets a page from a renderer. All requests for it at the same time share one fetch. A change may overtake a
// fetch that began before this request; then another one is made.
func (s *Server) render(ctx context.Context, w want) (fetched, error) {
	for round := 1; ; round++ {
		got, leader, err := s.flights.do(ctx, w.ref, wire.Deadline(w.ref), func(ctx context.Context) (fetched, error) {
			// A fetch that has just ended may have put the page there.
			if p := s.memory.Get(w.ref); p != nil && s.usable(p, w.atLeast, time.Now()) {
				return fetched{page: p, tier: tierMemory}, nil
			}
			return s.request(ctx, w)
		})
		if !leader {
			s.metrics.shared.Inc()
		}
		if err != nil || leader || s.usable(got.page, w.atLeast, time.Now()) {
			return got, err
		}
		if round == maxRounds {
			if got.page.Shows(w.atLeast) {
				return got, nil // changes come faster than renders
			}
			ctx, cancel := context.WithTimeout(ctx, wire.Deadline(w.ref))
			defer cancel()
			return s.request(ctx, w)
		}
	}
}

// request requests a page on the bus.
func (s *Server) request(ctx context.Context, w want) (got fetched, err error) {
	start := time.Now()
	msg, err := s.renderers.get(ctx, w)
	got.timing.bus = time.Since(start)
	if err != nil {
		return got, err
	}
	got.timing.worker = wire.ParseTiming(msg.Header.Get(wire.HeaderTiming))
	p, err := cache.Decode(s.tracker, w.ref, msg.Data)
	if err != nil {
		return got, errors.Join(wire.ErrInternal, err)
	}
	got.page, got.tier = p, tierRender
	s.memory.Put(p, s.clock.Now())
	return got, nil
}

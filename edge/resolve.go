package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/freshness"
	"flickrkillr/edge/popularity"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

const (
	maxRounds  = 3           // fetches for one request, if changes overtake the page
	staleAfter = time.Second // how long a request waits for a fresh page if there is a stale one
)

var (
	errLeft = errors.New("the client has left before its answer")
	// errTookLong: a stale page is served instead of a fresh one.
	errTookLong = fmt.Errorf("no renderer has answered within %v", staleAfter)
	// errOld: the page lacks changes that this edge knows. It is of a replica of the database, whose primary does not
	// answer, or of a primary that does not show yet what a replica has shown.
	errOld = fmt.Errorf("%w: there is only an older page", wire.ErrUnavailable)
)

// resolver finds pages. It is the way that every request takes: in-process cache, memcached, bus.
type resolver struct {
	tracker    *freshness.Tracker
	memory     *cache.Memory
	memcached  *cache.Memcached
	encoder    *cache.Encoder
	flights    *flights
	renderers  *renderers
	popularity *popularity.Popularity
}

// client is a connection that waits for an answer.
type client interface {
	// Watch returns a context that ends when the client leaves. Call stop before the answer is written.
	Watch() (ctx context.Context, stop func())
}

// want is what a request needs.
type want struct {
	ref     page.Ref
	number  requestID
	trace   wire.Trace
	gzip    bool       // a body that is compressed with gzip can be used
	atLeast []wire.Dep // no older page is served, except as a stale one
	newer   conditions
}

// fetched is a page and where it came from.
type fetched struct {
	page   *cache.Page
	tier   tier
	timing timing
	source string // of the rows of a page that was rendered, see [wire.HeaderSource]
}

// resolve finds the page and the variant that answer a request. It sets x.page, x.tier and x.timing and, for a stale
// page, x.cause. It returns errLeft if the client has left; for every other error the caller sends an error page.
func (r *resolver) resolve(from client, x *exchange, ref page.Ref) (*cache.Variant, error) {
	w := want{ref: ref, number: x.number, trace: x.trace, gzip: x.accept.Gzip(), atLeast: x.atLeast}
	got, err := r.fetch(from, w, x.start)
	x.timing = got.timing
	if got.page == nil {
		return nil, err
	}
	variant, broken := r.encoder.Variant(got.page, x.accept, got.tier == tierMemory)
	if broken != nil {
		return nil, broken
	}
	x.page, x.tier, x.cause = got.page, got.tier, err
	return variant, nil
}

// near finds the variant that answers a request if the in-process cache has the page, and it is fresh. It sets x.page
// and x.tier. nil: it is not.
func (r *resolver) near(x *exchange, ref page.Ref) *cache.Variant {
	p := r.memory.Get(ref)
	if p == nil || !r.usable(p, nil, x.start) {
		return nil
	}
	variant, err := r.encoder.Variant(p, x.accept, true)
	if err != nil {
		return nil
	}
	x.page, x.tier = p, tierMemory
	return variant
}

// observe reports to popularity that a fresh page of a cache has answered a request.
func (r *resolver) observe(x *exchange) {
	switch x.tier {
	case tierMemory:
		r.popularity.Observe(x.page, popularity.FromMemory, x.start)
	case tierMemcached:
		r.popularity.Observe(x.page, popularity.FromMemcached, x.start)
	}
}

// fetch gets a page from the in-process cache, from memcached or from a renderer, each only if the one before has no
// fresh page. If all fail it returns the error, and the newest page that may be served as stale, if there is one.
func (r *resolver) fetch(from client, w want, now time.Time) (fetched, error) {
	inMemory := r.memory.Get(w.ref)
	if inMemory != nil && r.usable(inMemory, w.atLeast, now) {
		return fetched{page: inMemory, tier: tierMemory}, nil
	}
	got, older := r.lookup(w)
	if got.page != nil {
		return got, nil
	}
	older = cache.Newer(inMemory, older)
	ctx, stop := from.Watch()
	defer stop()
	if ctx.Err() != nil {
		return got, errLeft
	}
	limited := ctx
	if r.mayServeStale(older) {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, staleAfter, errTookLong)
		defer cancel()
	}
	lookup := got.timing.cache
	w.newer = r.conditions(w, older)
	got, err := r.render(limited, w)
	got.timing.cache = lookup
	if err == nil {
		return got, nil
	}
	older = cache.Newer(older, got.page)
	got.page = nil
	switch {
	case ctx.Err() != nil:
		err = errLeft
	case r.mayServeStale(older): // not if it was deleted meanwhile
		got.page, got.tier = older, tierStale
	}
	return got, err
}

// usable reports whether a page may be served as fresh, to a client that must see some versions at least.
func (r *resolver) usable(p *cache.Page, atLeast []wire.Dep, now time.Time) bool {
	return r.tracker.Fresh(&p.Basis, now) && p.Reply.Shows(atLeast)
}

func (r *resolver) mayServeStale(p *cache.Page) bool {
	return p != nil && r.tracker.MayServeStale(&p.Basis, time.Now())
}

// lookup gets a page from memcached. If that is not fresh, lookup returns it as older.
func (r *resolver) lookup(w want) (got fetched, older *cache.Page) {
	start := time.Now()
	p := r.memcached.Get(w.ref)
	got.timing.cache = time.Since(start)
	switch {
	case p == nil:
	case !r.usable(p, w.atLeast, time.Now()):
		return got, p
	default:
		got.page, got.tier = p, tierMemcached
		r.memory.Put(p, r.tracker.Clock().Now())
	}
	return got, nil
}

// render gets a page from a renderer. All requests for it at the same time share one fetch. A change may overtake a
// fetch that began before this request, or the replica that the renderer has read; then another one is made. With an
// error, render may return a page that is not fresh.
func (r *resolver) render(ctx context.Context, w want) (fetched, error) {
	for round := 1; ; round++ {
		got, leader, err := r.flights.do(ctx, w.ref, wire.Deadline(w.ref), func(ctx context.Context) (fetched, error) {
			// A fetch that has just ended may have put the page there.
			if p := r.memory.Get(w.ref); p != nil && r.usable(p, w.atLeast, time.Now()) {
				return fetched{page: p, tier: tierMemory}, nil
			}
			return r.request(ctx, w)
		})
		if err != nil || leader && r.newest(got, w) || r.usable(got.page, w.atLeast, time.Now()) {
			return got, err
		}
		if leader && got.source == wire.SourceReplica && !w.newer.met(got.page) {
			return got, errOld // although the renderer was told
		}
		if round < maxRounds {
			w.newer = r.conditions(w, got.page)
			continue
		}
		if enough(got, w) {
			return got, nil // changes come faster than renders
		}
		ctx, cancel := context.WithTimeout(ctx, wire.Deadline(w.ref))
		defer cancel()
		w.newer = r.conditions(w, got.page)
		own, err := r.request(ctx, w)
		switch {
		case err != nil:
			own.page = got.page
		case own.source != "" && !r.newest(own, w) && !enough(own, w):
			err = errOld
		}
		return own, err
	}
}

// newest reports whether a page that was fetched for this request is as new as can be. A primary shows everything that
// was committed before, and may be overtaken by what replicas have shown already. A replica may lack changes.
func (r *resolver) newest(got fetched, w want) bool {
	if got.source == "" {
		return true
	}
	return (got.source == wire.SourcePrimary || w.newer.met(got.page)) && !got.page.Basis.Overtaken() &&
		got.page.Reply.Shows(w.atLeast)
}

// enough reports whether a page that changes have overtaken shows at least what this edge knew before it asked. Of a
// replica that is not known. The primary's lacks what a replica has shown while its commit waits for another standby.
func enough(got fetched, w want) bool {
	switch got.source {
	case wire.SourceReplica:
		return false
	case wire.SourcePrimary:
		return got.page.Reply.Shows(w.newer.told.Wants)
	}
	return got.page.Reply.Shows(w.atLeast) // all is read from the primary
}

// request requests a page on the bus. Popularity observes every page that a renderer makes, also one that no request
// waits for any more.
func (r *resolver) request(ctx context.Context, w want) (got fetched, err error) {
	start := time.Now()
	msg, err := r.renderers.get(ctx, w)
	got.timing.bus = time.Since(start)
	if err != nil {
		return got, err
	}
	got.timing.worker = wire.ParseTiming(msg.Header.Get(wire.HeaderTiming))
	got.source = msg.Header.Get(wire.HeaderSource)
	p, err := cache.Decode(r.tracker, w.ref, msg.Data)
	if err != nil {
		return got, errors.Join(wire.ErrInternal, err)
	}
	got.page, got.tier = p, tierRender
	r.memory.Put(p, r.tracker.Clock().Now())
	r.popularity.Observe(p, popularity.FromRenderer, start)
	return got, nil
}

// errorPage gets an error page from a renderer.
func (r *resolver) errorPage(ctx context.Context, w want) (*cache.Page, error) {
	got, _, err := r.flights.do(ctx, w.ref, wire.Deadline(w.ref), func(ctx context.Context) (fetched, error) {
		return r.request(ctx, w)
	})
	if err == nil {
		_, err = r.encoder.Plain(got.page)
	}
	return got.page, err
}

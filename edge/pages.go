package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"

	"github.com/nats-io/nats.go"
)

// refillAt is the part of a copy's maximum age at which it is refilled, so that nobody waits when it ends.
const refillAt = .75

// maxRounds bounds how often a request asks again because what it was handed had been overtaken by a change meanwhile.
const maxRounds = 3

// want is what a visitor asks for. Who leads a fetch decides which form it brings; for whoever joins in another one is made of that.
type want struct {
	ref  page.Ref
	gzip bool // a body packed by gzip can be used

	claims []wire.Dep // a copy that is older than this will not do, unless as a stale one
	looked *fetched   // what a look in memcached has just brought, which was no copy; nil: nobody has looked
}

// fetched is what a fetch brought: a copy and where it came from, or none and the best stale one.
type fetched struct {
	copy   *held
	tier   tier
	stale  *held // when copy is nil: the newest copy that is no longer known to be true
	timing timing
}

// page answers a GET or HEAD of whatever the path names.
func (s *Server) page(w http.ResponseWriter, r *http.Request, x *exchange) error {
	ref, err := page.ParsePath(r.URL.RequestURI())
	if err != nil {
		return err
	}
	x.kind = ref.Kind()
	if to, moved := canonical(r, ref); moved {
		s.redirect(w, x, to)
		return nil
	}
	x.accepted = readCodings(r.Header["Accept-Encoding"])
	if ref.Kind() == page.KindAsset {
		ref = ref.Encoded(assetEncoding(x.accepted))
	}
	ref = shown(s.origins, ref, r.Host)
	x.claims = s.cookies.adopt(r)
	err = s.show(w, r, x, ref, false)
	for round := 1; errors.Is(err, errBroken) && round < maxRounds; round++ {
		x.tier = tierNone
		err = s.show(w, r, x, ref, true)
	}
	return err
}

// show answers with the page of ref. errBroken says that the copy at hand turned out to be none. It does not count any more, and whoever
// asks again asks for a plain one.
func (s *Server) show(w http.ResponseWriter, r *http.Request, x *exchange, ref page.Ref, plain bool) error {
	var (
		got fetched
		err error
		c   = s.near.get(ref)
	)
	switch f := foundFor(r, ref); {
	case f != nil && !f.broken && !plain:
		x.start, x.number, got, err = f.start, f.number, f.got, f.err
	case c != nil && s.fresh.check(c) && c.shows(x.claims):
		s.hit(c, x.start)
		got.copy, got.tier = c, tierNear
	default:
		plain = plain || f != nil
		what := want{ref: ref, gzip: !plain && x.accepted.gzip > 0, claims: x.claims}
		got, err = s.obtainOr(r.Context(), c, what, x.number)
	}
	x.timing = got.timing
	switch {
	case err == nil:
		x.tier = got.tier
		return s.answer(w, r, x, got.copy)
	case r.Context().Err() != nil:
		return r.Context().Err() // the visitor has left
	}
	if best := newer(c, got.stale); s.fresh.presentable(best) {
		x.tier, x.cause = tierStale, err
		return s.answer(w, r, x, best)
	}
	return err
}

// hit notes that the near cache's copy answers somebody.
func (s *Server) hit(c *held, now time.Time) {
	c.asked.Add(1)
	s.ahead(c, now)
}

// staleAfter is how long a visitor waits for a true copy when there is an older one to be shown.
const staleAfter = time.Second

// errShownOlder: a visitor did not wait for the end of a fetch, and was shown an older copy. Whoever comes next wants it to go on.
var errShownOlder = fmt.Errorf("no answer within %v: %w", staleAfter, wire.ErrUnavailable)

// obtainOr is obtain for at most a second if an older copy could be shown instead.
func (s *Server) obtainOr(ctx context.Context, older *held, what want, number requestID) (fetched, error) {
	if !s.fresh.presentable(older) {
		return s.obtain(ctx, what, number)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, staleAfter, errShownOlder)
	defer cancel()
	return s.obtain(ctx, what, number)
}

// redirect sends whoever asked for another spelling of a path to the one it has.
func (s *Server) redirect(w http.ResponseWriter, x *exchange, to string) {
	h := w.Header()
	x.status = http.StatusMovedPermanently
	x.writeHeaders(h)
	h.Set("Location", to)
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = cacheRedirect
	secure(func(name string, value []string) { h[name] = value })
	w.WriteHeader(x.status)
}

// canonical gives the path to redirect to when the one asked for is another spelling of it.
func canonical(r *http.Request, ref page.Ref) (string, bool) {
	var buf [256]byte
	path := ref.AppendPath(buf[:0])
	plain, _, _ := bytes.Cut(path, []byte{'?'})
	if string(plain) == r.URL.EscapedPath() {
		return "", false
	}
	return string(path), true
}

// obtain gets a copy that is true, by memcached or by the bus, together with all who want it now. A copy that somebody else's fetch
// brought may have been overtaken by a change since: then this request asks for itself.
func (s *Server) obtain(ctx context.Context, what want, number requestID) (fetched, error) {
	for round := 1; ; round++ {
		got, leader, err := s.calls.do(ctx, what.ref, wire.Deadline(what.ref), func(ctx context.Context) (fetched, error) {
			if c := s.near.get(what.ref); c != nil && s.fresh.check(c) && c.shows(what.claims) { // since this visitor looked for one, the fetch of others has ended
				s.hit(c, time.Now())
				return fetched{copy: c, tier: tierNear}, nil
			}
			return s.fetch(ctx, what, number.String())
		})
		if !leader {
			s.meters.shared.Inc()
		}
		if err != nil || leader || got.copy.shows(what.claims) && (round == maxRounds || s.fresh.check(got.copy)) {
			return got, err
		}
		if round == maxRounds { // who knows no better is content with what this visitor must not be shown
			ctx, cancel := context.WithTimeout(ctx, wire.Deadline(what.ref))
			defer cancel()
			what.looked = &fetched{stale: got.copy}
			return s.fetch(ctx, what, number.String())
		}
		what.looked = nil
	}
}

// look looks for a copy in memcached. When there is none, it tells whether that is all there is to know: memcached was not too busy to be asked.
func (s *Server) look(ctx context.Context, what want) (got fetched, told bool) {
	start := time.Now()
	c, told := s.cache.get(ctx, what.ref)
	got.timing.cache = time.Since(start)
	switch {
	case c == nil:
	case !s.fresh.check(c) || !c.shows(what.claims):
		got.stale = c
	case !what.gzip && !s.compressor.opens(c): // who takes the bytes as they are compares the sum in their browser
		s.replace(c)
	default:
		got.copy, got.tier = c, tierMemcached
		s.near.put(c, s.clock.Now())
		s.hot.got(c, true)
		s.ahead(c, start)
	}
	return got, told
}

// replace has memcached hold another copy instead of one that cannot be unpacked.
func (s *Server) replace(c *held) {
	if c.renewed.Swap(true) {
		return
	}
	s.log.Warn("memcached: an item that cannot be unpacked counts as a miss", "key", c.ref.Key())
	s.send(wire.Fill{Ref: c.ref, ReadAt: c.reply.ReadAt.Add(time.Microsecond)})
}

// fetch looks in memcached, unless the express has just done so, then asks a renderer.
func (s *Server) fetch(ctx context.Context, what want, id string) (fetched, error) {
	var got fetched
	if what.looked != nil {
		got = *what.looked
	} else if got, _ = s.look(ctx, what); got.copy != nil {
		return got, nil
	}
	asked := time.Now()
	reply, err := s.ask(ctx, what, id)
	got.timing.bus = time.Since(asked)
	if err != nil {
		return got, err
	}
	got.timing.worker = wire.ParseTiming(reply.Header.Get(wire.HeaderTiming))
	c, err := s.decode(what.ref, reply.Data)
	if err != nil {
		return got, errors.Join(wire.ErrInternal, err)
	}
	got.copy, got.tier = c, tierRender
	s.near.put(c, s.clock.Now())
	again := c.reply.MaxAge > 0 && (what.ref.Kind() == page.KindAsset || s.heat.again(what.ref))
	s.hot.got(c, again)
	if again {
		s.fill(c)
	}
	return got, nil
}

// ask requests a page on the bus. Only renderers that have an asset listen for it: when none does, although one tells what it has, then there
// is no such asset.
func (s *Server) ask(ctx context.Context, what want, id string) (*nats.Msg, error) {
	ref := what.ref
	if ref.Kind() != page.KindAsset {
		return s.bus.get(ctx, ref, id, what.gzip, patience)
	}
	reply, err := s.bus.get(ctx, ref, id, false, 0)
	if !errors.Is(err, nats.ErrNoResponders) {
		return reply, err
	}
	look, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := s.cfg.NATS.RequestWithContext(look, wire.SubjectAssets, nil); err == nil {
		return nil, fmt.Errorf("%s: %w", ref, wire.ErrNotFound)
	}
	return s.bus.get(ctx, ref, id, false, patience)
}

// ahead has a copy that nears its age limit refilled, once, with a newer one.
func (s *Server) ahead(c *held, now time.Time) {
	if c.reply.Immutable || c.renewed.Load() || float64(s.fresh.ageAt(c, now)) < refillAt*float64(c.reply.MaxAge) || c.renewed.Swap(true) {
		return
	}
	s.send(wire.Fill{Ref: c.ref, ReadAt: c.reply.ReadAt.Add(time.Microsecond)})
}

// fill has memcached hold a copy as good as one that was rendered, once: with its versions, trusted, and not much older. It need not be
// newer: whoever else renders the page at the same time says the same, and one fill will do for all.
func (s *Server) fill(c *held) {
	if c.stored.Swap(true) {
		return
	}
	age := time.Duration((1 - refillAt) * float64(c.reply.MaxAge))
	readAt := later(c.reply.ReadAt.Add(-age), time.UnixMicro(s.fresh.trustFrom.Load()))
	if readAt.After(c.reply.ReadAt) {
		readAt = c.reply.ReadAt
	}
	s.send(wire.Fill{Ref: c.ref, ReadAt: readAt, Wants: c.reply.Depends})
}

// send publishes a note to the cachefills, if there is anything to fill.
func (s *Server) send(note wire.Fill) {
	if s.cache.ring == nil {
		return
	}
	if err := s.cfg.NATS.PublishMsg(note.Msg()); err != nil {
		s.log.Debug("fill: not published", "page", note.Ref, "err", err)
		return
	}
	s.meters.fills.Inc()
}

// newer gives the copy whose rows were read later; either may be nil.
func newer(a, b *held) *held {
	if a == nil || b != nil && b.reply.ReadAt.After(a.reply.ReadAt) {
		return b
	}
	return a
}

package popularity

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/freshness"
	"flickrkillr/schema/wire"
)

// refreshAt is the part of a page's maximum age after which a newer page is requested, so that no client waits at its
// end.
const refreshAt = .75

// filler publishes fill notes. A fill note asks a cachefill to put a page into memcached.
type filler struct {
	nc      *nats.Conn
	tracker *freshness.Tracker
	enabled bool
	sent    prometheus.Counter
	log     *slog.Logger
}

func newFiller(cfg Config) *filler {
	return &filler{nc: cfg.NATS, tracker: cfg.Tracker, enabled: cfg.Fill, sent: cfg.Fills, log: cfg.Log}
}

// refreshEarly sends a fill note for a newer page, once, when a page is near its maximum age.
func (f *filler) refreshEarly(cached *cache.Page, now time.Time) {
	if cached.Basis.Immutable || cached.Usage.Refreshing.Load() ||
		float64(f.tracker.Age(&cached.Basis, now)) < refreshAt*float64(cached.Reply.MaxAge) ||
		cached.Usage.Refreshing.Swap(true) {
		return
	}
	f.send(wire.Fill{Ref: cached.Ref, ReadAt: cached.Reply.ReadAt.Add(time.Microsecond)})
}

// fill sends a fill note for a page, once. The note wants the versions of the page, and rows that are valid and not
// much older than those of the page. It does not want newer ones: other edges that render the page at the same time
// send the same note, and one fill is enough.
func (f *filler) fill(cached *cache.Page) {
	if cached.Usage.InMemcached.Swap(true) {
		return
	}
	age := time.Duration((1 - refreshAt) * float64(cached.Reply.MaxAge))
	readAt := later(cached.Reply.ReadAt.Add(-age), f.tracker.InvalidBefore())
	if readAt.After(cached.Reply.ReadAt) {
		readAt = cached.Reply.ReadAt
	}
	f.send(wire.Fill{Ref: cached.Ref, ReadAt: readAt, Wants: cached.Reply.Depends})
}

func (f *filler) send(note wire.Fill) {
	if !f.enabled {
		return
	}
	if err := f.nc.PublishMsg(note.Msg()); err != nil {
		f.log.Debug("cannot publish a fill note", "page", note.Ref, "err", err)
		return
	}
	f.sent.Inc()
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

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

// refreshAt is the part of a page's maximum age at which a newer one is requested, so that nobody waits when it ends.
const refreshAt = .75

// filler publishes fill notes: requests to the cachefills to put a page into memcached.
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

// refreshEarly requests a newer copy, once, of a page that nears its maximum age.
func (f *filler) refreshEarly(c *cache.Page, now time.Time) {
	if c.Reply.Immutable || c.Refreshing.Load() ||
		float64(f.tracker.Age(&c.Basis, now)) < refreshAt*float64(c.Reply.MaxAge) || c.Refreshing.Swap(true) {
		return
	}
	f.send(wire.Fill{Ref: c.Ref, ReadAt: c.Reply.ReadAt.Add(time.Microsecond)})
}

// fill requests, once, a copy as good as a rendered page: with its versions, valid, and not much older. It need not be
// newer: other edges that render the page at the same time send the same note, and one fill is enough.
func (f *filler) fill(c *cache.Page) {
	if c.InMemcached.Swap(true) {
		return
	}
	age := time.Duration((1 - refreshAt) * float64(c.Reply.MaxAge))
	readAt := later(c.Reply.ReadAt.Add(-age), f.tracker.InvalidBefore())
	if readAt.After(c.Reply.ReadAt) {
		readAt = c.Reply.ReadAt
	}
	f.send(wire.Fill{Ref: c.Ref, ReadAt: readAt, Wants: c.Reply.Depends})
}

// replace requests, once, another copy of a corrupt page.
func (f *filler) replace(c *cache.Page) {
	if c.Refreshing.Swap(true) {
		return
	}
	f.log.Warn("memcached: a corrupt item counts as a miss", "key", c.Ref.Key())
	f.send(wire.Fill{Ref: c.Ref, ReadAt: c.Reply.ReadAt.Add(time.Microsecond)})
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

package pool

import (
	"time"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/wire"
)

// Bounds of what is shown.
const (
	// window is the time that rates and percentiles are of.
	window = 10 * time.Second
	// silentFor is how long a role that does not answer any more is shown.
	silentFor = 10 * time.Second
	// lineLength is how many samples a line shows, one a second.
	lineLength = 120
)

// History is what the last snapshots tell together. Its zero value is empty. It is not safe for concurrent use.
type History struct {
	shots  []Snapshot           // of the last window and one before, the newest last
	silent map[string]time.Time // since when those have not answered that did before
	lines  lines
}

// lines are the figures of the whole site over the last two minutes.
type lines struct{ answers, caches, waits, fresh, took, used []float64 }

// Add adds a newer snapshot.
func (h *History) Add(shot Snapshot) {
	h.keepSilent(&shot)
	h.shots = append(h.shots, shot)
	for len(h.shots) > 2 && shot.At.Sub(h.shots[1].At) >= window {
		h.shots = h.shots[1:]
	}
	now := h.total()
	for _, l := range []struct {
		line  *[]float64
		value float64
	}{
		{&h.lines.answers, now.answers}, {&h.lines.caches, now.caches}, {&h.lines.waits, now.waits.Quantile(.95)},
		{&h.lines.fresh, now.changes.Quantile(.99)}, {&h.lines.took, now.took.Quantile(.99)},
		{&h.lines.used, now.used},
	} {
		*l.line = append(*l.line, l.value)
		*l.line = (*l.line)[max(0, len(*l.line)-lineLength):]
	}
}

// keepSilent adds to a snapshot those of the last one that have not answered since, for a while.
func (h *History) keepSilent(shot *Snapshot) {
	answered := map[string]bool{}
	for _, i := range shot.Instances {
		answered[i.ID] = true
	}
	silent := map[string]time.Time{}
	if len(h.shots) > 0 {
		for _, i := range h.shots[len(h.shots)-1].Instances {
			if answered[i.ID] {
				continue
			}
			since, known := h.silent[i.ID]
			if !known {
				since = shot.At
			}
			if shot.At.Sub(since) < silentFor {
				silent[i.ID] = since
				shot.Instances = append(shot.Instances, i)
			}
		}
		shot.sort()
	}
	h.silent = silent
}

// newest is the last snapshot; empty before the first.
func (h *History) newest() Snapshot {
	if len(h.shots) == 0 {
		return Snapshot{}
	}
	return h.shots[len(h.shots)-1]
}

// before returns how an instance was at the beginning of the window, and how many seconds ago that is. One that has
// begun since was empty then.
func (h *History) before(now Instance) (was Instance, ago float64) {
	at := h.newest().At
	for _, shot := range h.shots[:len(h.shots)-1] {
		for _, i := range shot.Instances {
			if i.ID == now.ID {
				return i, at.Sub(shot.At).Seconds()
			}
		}
	}
	if age := at.Sub(now.Started); len(h.shots) > 1 && age > 0 && age < window {
		return Instance{}, age.Seconds()
	}
	return now, window.Seconds() // seen for the first time: nothing is known of what it did lately
}

// doing is what an instance did in the window.
type doing struct {
	requests, failed float64 // a second
	inFlight, queued int

	tiers         map[string]float64 // answers of an edge, a second
	took, changes histogram.Histogram

	waits histogram.Histogram // of a renderer's pages
	busy  float64             // refusals a second, of all pools
	used  float64             // part of the page workers' time, 0 to 1
}

// of returns what an instance did in the window.
func (h *History) of(now Instance) (d doing) {
	was, ago := h.before(now)
	all, failed := now.counts()
	allBefore, failedBefore := was.counts()
	d.requests, d.failed = rise(all, allBefore)/ago, rise(failed, failedBefore)/ago
	if now.Edge != nil {
		d.ofEdge(*now.Edge, was.Edge, ago)
	}
	if now.Renderer != nil {
		d.ofRenderer(*now.Renderer, was.Renderer, ago)
		d.inFlight = now.inFlight()
	}
	if now.Cachefill != nil {
		d.queued = now.Cachefill.Queued
	}
	return d
}

func (d *doing) ofEdge(now discovery.EdgeFigures, was *discovery.EdgeFigures, ago float64) {
	if was == nil {
		was = &discovery.EdgeFigures{}
	}
	d.inFlight = now.InFlight
	d.took, d.changes = now.Answers.Since(was.Answers), now.Changes.Since(was.Changes)
	d.tiers = map[string]float64{}
	for tier, n := range now.Tiers {
		d.tiers[tier] = rise(n, was.Tiers[tier]) / ago
	}
}

func (d *doing) ofRenderer(now discovery.RendererFigures, was *discovery.RendererFigures, ago float64) {
	if was == nil {
		was = &discovery.RendererFigures{}
	}
	for name, p := range now.Pools {
		before := was.Pools[name]
		d.queued += p.Queued
		d.busy += rise(p.Busy, before.Busy) / ago
		if name == pages {
			d.waits = p.QueueWait.Since(before.QueueWait)
			if p.Workers > 0 {
				d.used = min(max(p.Worked-before.Worked, 0)/ago/float64(p.Workers), 1)
			}
		}
	}
}

// rise is by how much a counter rose. One that began anew rose from 0.
func rise[N int | uint64](now, was N) float64 {
	if now < was {
		return float64(now)
	}
	return float64(now - was)
}

// counts are the requests of all endpoints since the start, and those that failed.
func (i Instance) counts() (requests, failed int) {
	for _, e := range i.Endpoints {
		requests += e.NumRequests
		failed += e.NumErrors
	}
	return requests, failed
}

// inFlight is how many requests a renderer's workers have, as its endpoints say.
func (i Instance) inFlight() (n int) {
	for _, e := range i.Endpoints {
		if f := part[struct {
			InFlight int `json:"in_flight"`
		}](e.Data); f != nil {
			n += f.InFlight
		}
	}
	return n
}

// total is what the site did in the window.
type total struct {
	answers, failed      float64            // of edges, a second
	tiers                map[string]float64 // of edges, a second
	caches               float64            // part of pages that caches answered, 0 to 1
	took, changes, waits histogram.Histogram
	renderers, queued    int
	busy, used           float64  // as in doing, of all renderers
	stale, edges         int      // edges without news of changes, of all
	replicaLag           *float64 // the largest, in seconds; nil: nobody says one
}

// total adds up what all did. Pages from a cache are compared with those that were rendered or stale; redirects and
// errors are neither.
func (h *History) total() (t total) {
	t.tiers = map[string]float64{}
	for _, i := range h.newest().Instances {
		d := h.of(i)
		if i.Name == wire.ServiceRenderer {
			t.waits = t.waits.Plus(d.waits)
			t.renderers++
			t.queued += d.queued
			t.busy += d.busy
			t.used += d.used
		}
		if i.ReplicaLag != nil && (t.replicaLag == nil || *i.ReplicaLag > *t.replicaLag) {
			t.replicaLag = i.ReplicaLag
		}
		if i.Name != wire.ServiceEdge {
			continue
		}
		t.edges++
		t.answers += d.requests
		t.failed += d.failed
		t.took, t.changes = t.took.Plus(d.took), t.changes.Plus(d.changes)
		for tier, n := range d.tiers {
			t.tiers[tier] += n
		}
		if i.Edge != nil && i.Edge.FeedStale {
			t.stale++
		}
	}
	t.caches = hits(t.tiers)
	t.used /= max(float64(t.renderers), 1)
	return t
}

// hits is the part of pages that caches answered, 0 to 1.
func hits(tiers map[string]float64) float64 {
	cached := tiers["near"] + tiers["memcached"]
	if all := cached + tiers["render"] + tiers["stale"]; all > 0 {
		return cached / all
	}
	return 0
}

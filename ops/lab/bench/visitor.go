package bench

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// visitor is a browser and its user. One goroutine calls its methods.
type visitor struct {
	run     *run
	rec     *recorder
	client  client
	visit   *visit // nil: none has begun
	missing []need // by the current page
	keep    []bool // which of them the browser caches
	kind    part   // whether signed in
}

func (r *run) newVisitor(number int) *visitor {
	v := &visitor{run: r, rec: r.recorders[number%len(r.recorders)], kind: r.kindOf(number)}
	cookie := ""
	if v.kind == partSignedIn {
		cookie = r.cfg.Cookies[number%len(r.cfg.Cookies)]
	}
	n := number / r.cfg.Streams % len(r.edges)
	edges := slices.Concat(r.edges[n:], r.edges[:n])
	if r.cfg.HTTP2 {
		v.client = &http2{&r.cfg, edges[0], cookie, r.transports[number/r.cfg.Streams]}
	} else {
		if !r.cfg.Failover {
			edges = edges[:1]
		}
		v.client = &http1{cfg: &r.cfg, edges: edges, cookie: cookie, opened: &r.opened, repeated: &r.repeated,
			tries: &r.tries}
	}
	return v
}

// viewPage requests one page and what it needs. intended is when it should have begun: its latency counts from then.
func (v *visitor) viewPage(ctx context.Context, intended time.Time) {
	if v.visit == nil {
		v.visit = v.run.newVisit()
	}
	counted := v.run.measured(intended)
	seen := v.fetchPage(ctx, v.visit.next, intended, counted)
	whole := seen != nil
	if whole && !v.run.cfg.PagesOnly {
		whole = v.fetchNeeds(ctx, seen.needs, counted)
		if whole && counted {
			v.rec.load(time.Since(intended))
		}
	}
	if !v.visit.follow(seen) {
		v.visit = nil
		if !v.run.cfg.KeepConnections {
			v.client.close()
		}
	}
}

// fetchPage returns nil if the page is missing or wrong.
func (v *visitor) fetchPage(ctx context.Context, p Page, intended time.Time, counted bool) *parsedPage {
	buf, in := v.run.buffer(), v.run.partsOf(v.kind)
	a, grown, err := v.client.get(ctx, 0, p.Path, *buf)
	*buf = grown
	defer v.run.buffers.Put(buf)
	took := time.Since(intended) // without checking, which is not the server's work
	var seen *parsedPage
	if err == nil {
		seen, err = v.run.checkPage(p, a)
	}
	v.run.requests.Add(1)
	v.rec.request(classPage, counted, err != nil && ctx.Err() != nil, took, a, v.client.url()+p.Path, err, in)
	if err != nil {
		return nil
	}
	return seen
}

// fetchNeeds fetches what the browser does not have, over as many connections as allowed, and reports whether all
// answers were right.
func (v *visitor) fetchNeeds(ctx context.Context, needs []need, counted bool) bool {
	v.missing, v.keep = v.missing[:0], v.keep[:0]
	for _, n := range needs {
		if _, cached := v.visit.cached[n.path]; !cached {
			v.missing, v.keep = append(v.missing, n), append(v.keep, false)
		}
	}
	if len(v.missing) == 0 {
		return true
	}
	var next, wrong atomic.Int32
	work := func(slot int) {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(v.missing) {
				return
			}
			keep, ok := v.fetchFile(ctx, slot, v.missing[i], counted)
			if v.keep[i] = keep; !ok {
				wrong.Add(1)
			}
		}
	}
	var others sync.WaitGroup
	for slot := 1; slot < min(v.client.slots(), len(v.missing)); slot++ {
		others.Go(func() { work(slot) })
	}
	work(0)
	others.Wait()
	for i, n := range v.missing {
		if v.keep[i] {
			v.visit.cached[n.path] = struct{}{}
		}
	}
	return wrong.Load() == 0
}

func (v *visitor) fetchFile(ctx context.Context, slot int, n need, counted bool) (keep, ok bool) {
	if ctx.Err() != nil {
		return false, false
	}
	buf := v.run.buffer()
	defer v.run.buffers.Put(buf)
	began, in := time.Now(), v.run.partsOf(v.kind)
	a, grown, err := v.client.get(ctx, slot, n.path, *buf)
	*buf = grown
	took := time.Since(began)
	if err == nil {
		err = checkFile(n, a)
	}
	v.run.requests.Add(1)
	v.rec.request(n.class, counted, err != nil && ctx.Err() != nil, took, a, v.client.url()+n.path, err, in)
	return err == nil && a.immutable, err == nil
}

package audit

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"sort"
	"time"

	schema "flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// popularity is a Zipf distribution over the owners: the n-th most popular is chosen in proportion to 1/n.
func popularity(n int) []float64 {
	sums := make([]float64, n)
	total := 0.
	for i := range sums {
		total += 1 / math.Pow(float64(i+1), 0.9)
		sums[i] = total
	}
	return sums
}

func (a *audit) popular(draw *rand.Rand) int {
	return sort.SearchFloat64s(a.popularity, draw.Float64()*a.popularity[len(a.popularity)-1])
}

// choose draws what to look at next.
func (a *audit) choose(draw *rand.Rand) target {
	o := a.world.owners[a.popular(draw)]
	switch n := draw.IntN(100); {
	case n < 35:
		return target{kind: userPage, owner: o, path: schema.User(o.name).Path()}
	case n < 70:
		p := o.photos[min(draw.IntN(len(o.photos)), draw.IntN(len(o.photos)))]
		return target{kind: photoPage, owner: o, photo: p, path: schema.Photo(p.id).Path()}
	case n < 80:
		i := draw.IntN(len(o.albums))
		return target{kind: albumPage, owner: o, album: i, path: schema.Album(o.albums[i].id).Path()}
	case n < 88:
		i := draw.IntN(tagCount)
		return target{kind: tagPage, tag: i, path: schema.Tag(tagName(i)).Path()}
	case n < 94:
		return target{kind: homePage, path: schema.Home().Path()}
	default:
		return target{kind: feedPage, owner: o, path: schema.Feed(o.name).Path()}
	}
}

// observe is one visitor who looks at one page after the other until ctx ends.
func (a *audit) observe(ctx context.Context, n int) {
	draw := rand.New(rand.NewPCG(a.cfg.Seed, uint64(n)<<8|drawVisitor))
	v := a.newVisitor(n%len(a.cfg.Edges), n/len(a.cfg.Edges)%2 == 1)
	for ctx.Err() == nil {
		if v.look(ctx, http.MethodGet, a.choose(draw), nil) == nil {
			sleep(ctx, 10*time.Millisecond) // whoever gets no page does not hammer
		}
	}
}

// cookie is what an edge gives whoever made a write.
func (a *audit) cookie(e *event) string {
	p := e.photo
	deps := []wire.Dep{{Scope: "user." + p.owner.name, Version: e.version}}
	if e.scope != 0 {
		deps = append(deps, wire.Dep{Scope: named{photo: p}.scope(), Version: e.scope})
	}
	return a.key.Sign(deps, time.Now().Add(a.world.ahead+wire.FreshAge))
}

// follow has some of the writes looked at closely: by their writer, or for how long they take to every edge. Whoever does that takes one
// when it has time; no write waits.
func (a *audit) follow(e *event, exact bool) {
	if !exact {
		return
	}
	select {
	case a.timed <- e:
		return
	default:
	}
	if a.key == nil {
		return
	}
	select {
	case a.owned <- e:
	default:
	}
}

// writers looks at own writes: through every edge, with the write's cookie, at once.
func (a *audit) writers(ctx context.Context) {
	for n := 0; ; n++ {
		var e *event
		select {
		case <-ctx.Done():
			return
		case e = <-a.owned:
		}
		o, p := e.photo.owner, e.photo
		if a.watched[o.index].Load() { // a cookie would tell the edges what they are timed to find out
			continue
		}
		for i := range a.cfg.Edges {
			edge := (n + i) % len(a.cfg.Edges)
			v := a.newVisitor(edge, false)
			v.look(ctx, http.MethodGet, target{kind: photoPage, owner: o, photo: p, path: schema.Photo(p.id).Path()}, e)
			v.look(ctx, http.MethodGet, target{kind: userPage, owner: o, path: schema.User(o.name).Path()}, e)
		}
	}
}

// Timing of writes.
const (
	timedRest  = 20 * time.Millisecond // between two writes that are timed
	timedPoll  = 500 * time.Microsecond
	timedLimit = 10 * time.Second
)

// clock times writes: from the acknowledgement on it asks every edge until that shows the version. What counts is when the first answer
// that does was asked for.
func (a *audit) clock(ctx context.Context) {
	visitors := make([]*visitor, len(a.cfg.Edges))
	for i := range visitors {
		visitors[i] = a.newVisitor(i, false)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-a.timed:
			watched := &a.watched[e.photo.owner.index]
			watched.Store(true)
			last := make(chan moment, len(visitors))
			for _, v := range visitors {
				go func() { last <- v.wait(ctx, e) }()
			}
			worst := moment(0)
			for range visitors {
				worst = max(worst, <-last)
			}
			watched.Store(false)
			switch {
			case ctx.Err() != nil:
				return
			case worst == never:
				a.tally.unseen()
			default:
				a.tally.arrived(e.via, worst-e.acked, a.trouble.between(e.acked-FaultBound, worst))
			}
			sleep(ctx, timedRest)
		}
	}
}

const never = moment(math.MaxInt64)

// wait asks until the owner's page shows a write, and returns when the answer that did was asked for.
func (v *visitor) wait(ctx context.Context, e *event) moment {
	o := e.photo.owner
	t := target{kind: userPage, owner: o, path: schema.User(o.name).Path()}
	for end := e.acked + timedLimit; v.a.now() < end && ctx.Err() == nil; sleep(ctx, timedPoll) {
		if saw := v.look(ctx, http.MethodHead, t, nil); saw != nil {
			for _, n := range saw.named {
				if n.owner == o && n.version >= e.version {
					return saw.begin
				}
			}
		}
	}
	return never
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

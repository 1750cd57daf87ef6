package audit

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"sort"
	"time"

	"golang.org/x/time/rate"

	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
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

// searchWord is in every title that the auditor gives.
const searchWord = "audit"

// pick draws what to look at next.
func (a *audit) pick(draw *rand.Rand) target {
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
	case n < 93:
		return target{kind: homePage, path: schema.Home().Path()}
	case n < 95:
		return target{kind: homePage, path: schema.Search(searchWord).Path()}
	default:
		return target{kind: feedPage, owner: o, path: schema.Feed(schema.User(o.name)).Path()}
	}
}

// observe is one visitor who looks at one page after the other until ctx ends.
func (a *audit) observe(ctx context.Context, n int, limit *rate.Limiter) {
	draw := rand.New(rand.NewPCG(a.cfg.Seed, uint64(n)<<8|drawVisitor))
	v := a.newVisitor(n%len(a.cfg.Edges), n/len(a.cfg.Edges)%2 == 1)
	for limit.Wait(ctx) == nil {
		if v.look(ctx, http.MethodGet, a.pick(draw), nil) == nil {
			sleep.For(ctx, 10*time.Millisecond) // whoever gets no page does not hammer
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

// follow has some of the writes looked at by who made them, when a writer has time for that; no write waits.
func (a *audit) follow(e *event) {
	if a.key == nil {
		return
	}
	select {
	case a.owned <- e:
	default:
	}
}

// ownGap is the rest between two writes that are looked at by who made them, so that there are other looks, too.
const ownGap = 50 * time.Millisecond

// lookAsWriter looks at own writes: through every edge, with the write's cookie, at once, for soon every edge knows of
// the write anyway. So it waits before, until the limit lets so many looks through.
func (a *audit) lookAsWriter(ctx context.Context, limit *rate.Limiter) {
	paid := 0
	for n := 0; ; n++ {
		sleep.For(ctx, ownGap)
		for ; paid < 2*len(a.cfg.Edges); paid++ {
			if limit.Wait(ctx) != nil {
				return
			}
		}
		var e *event
		select {
		case <-ctx.Done():
			return
		case e = <-a.owned:
		}
		o, p := e.photo.owner, e.photo
		if a.watched[o.index].Load() > 0 { // a cookie would tell the edges what they are timed to find out
			continue
		}
		paid = 0
		for i := range a.cfg.Edges {
			v := a.newVisitor((n+i)%len(a.cfg.Edges), false)
			v.look(ctx, http.MethodGet, target{kind: photoPage, owner: o, photo: p, path: schema.Photo(p.id).Path()}, e)
			v.look(ctx, http.MethodGet, ownPage(o), e)
		}
	}
}

func ownPage(o *owner) target {
	return target{kind: userPage, owner: o, path: schema.User(o.name).Path()}
}

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

// popularity is a Zipf distribution over the owners: the n-th most popular one is drawn in proportion to 1/n^0.9.
func popularity(n int) []float64 {
	sums := make([]float64, n)
	total := 0.
	for i := range sums {
		total += 1 / math.Pow(float64(i+1), 0.9)
		sums[i] = total
	}
	return sums
}

func (a *audit) drawOwner(draw *rand.Rand) int {
	return sort.SearchFloat64s(a.popularity, draw.Float64()*a.popularity[len(a.popularity)-1])
}

// searchWord is in every title that the audit gives.
const searchWord = "audit"

// drawTarget draws the next page to request.
func (a *audit) drawTarget(draw *rand.Rand) target {
	o := a.world.owners[a.drawOwner(draw)]
	switch n := draw.IntN(100); {
	case n < 35:
		return target{kind: userPage, owner: o, path: schema.User(o.name).Path()}
	case n < 70:
		p := o.photos[min(draw.IntN(len(o.photos)), draw.IntN(len(o.photos)))]
		if picture, ok := p.drawPicture(draw); ok && n < 47 {
			return picture
		}
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

// observe is one visitor, who requests one page after the other until ctx ends.
func (a *audit) observe(ctx context.Context, n int, limit *rate.Limiter) {
	draw := rand.New(rand.NewPCG(a.cfg.Seed, uint64(n)<<8|drawVisitor))
	v := a.newVisitor(n%len(a.cfg.Edges), n/len(a.cfg.Edges)%2 == 1)
	v.member = a.people.visitorAt(n)
	for limit.Wait(ctx) == nil {
		if v.view(ctx, http.MethodGet, a.drawTarget(draw), nil) == nil {
			sleep.For(ctx, 10*time.Millisecond) // a visitor who gets no page pauses before the next request
		}
	}
}

// cookie is the read-your-writes token that an edge gives the writer of e.
func (a *audit) cookie(e *event) string {
	p := e.photo
	gone := e.scope != 0 && !e.state.public
	changes := []wire.Change{{Scope: "user." + p.owner.name, Version: e.version, Gone: gone}}
	if e.scope != 0 {
		changes = append(changes, wire.Change{Scope: named{photo: p}.scope(), Version: e.scope, Gone: gone})
	}
	return a.key.Sign(changes, time.Now().Add(a.world.ahead+wire.FreshAge))
}

// offerOwnView hands a write to viewAsWriter if that is idle, and drops it otherwise, so that no write waits.
func (a *audit) offerOwnView(e *event) {
	if a.key == nil {
		return
	}
	select {
	case a.owned <- e:
	default:
	}
}

// ownGap is the pause between two writes that are viewed by their writer, so that there are other page views, too.
const ownGap = 50 * time.Millisecond

// viewAsWriter views writes as their writer: through every edge, with the write's cookie, at once, because soon every
// edge knows of the write anyway. For that reason it waits for the limit before it takes a write.
func (a *audit) viewAsWriter(ctx context.Context, limit *rate.Limiter) {
	draw := rand.New(rand.NewPCG(a.cfg.Seed, drawWriter))
	permits := 0
	for n := 0; ; n++ {
		sleep.For(ctx, ownGap)
		for ; permits < 3*len(a.cfg.Edges); permits++ {
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
		if a.watched[o.index].Load() > 0 { // a cookie would tell the edges of the write that is being timed
			continue
		}
		permits = 0
		for i := range a.cfg.Edges {
			v := a.newVisitor((n+i)%len(a.cfg.Edges), false)
			v.view(ctx, http.MethodGet, target{kind: photoPage, owner: o, photo: p, path: schema.Photo(p.id).Path()}, e)
			v.view(ctx, http.MethodGet, ownPage(o), e)
			if picture, ok := p.drawPicture(draw); ok {
				v.view(ctx, http.MethodGet, picture, e)
			}
		}
	}
}

func ownPage(o *owner) target {
	return target{kind: userPage, owner: o, path: schema.User(o.name).Path()}
}

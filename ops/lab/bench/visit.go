package bench

import "math/rand/v2"

// The streams of random numbers that a seed gives: one for each visit, one for arrivals.
const seedArrivals = ^uint64(0)

// visit is what one visitor does from their first page to their last: a page, most likely of somebody popular; a photo
// that it shows; the page that follows the first; a photo of that, and so on. What it draws depends on the seed and its
// number alone, whoever makes it and when.
type visit struct {
	rng   *rand.Rand
	left  int                 // pages
	next  Page                // to look at
	older string              // the page that follows the listing that was looked at last
	held  map[string]struct{} // paths that the browser has and need not ask for again
}

func (r *run) newVisit() *visit {
	rng := rand.New(rand.NewPCG(r.cfg.Seed, r.visits.Add(1)-1))
	return &visit{rng: rng, left: r.cfg.VisitPages, next: r.cfg.Pages[r.zipf.draw(rng)], held: map[string]struct{}{}}
}

// follow chooses the next page by what the last one showed; nil is a page that could not be seen. It returns false when
// the visit is over. Whoever follows somebody's links stays among their pages, so the next one must be theirs, too.
func (t *visit) follow(v *view) bool {
	t.left--
	if t.left <= 0 || v == nil {
		return false
	}
	switch {
	case len(v.photos) > 0:
		t.older = v.older
		t.next.Path = v.photos[t.rng.IntN(len(v.photos))]
	case t.older != "":
		t.next.Path, t.older = t.older, ""
	case v.older != "":
		t.next.Path = v.older
	default:
		return false
	}
	return true
}

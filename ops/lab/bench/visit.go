package bench

import "math/rand/v2"

// The streams of random numbers that a seed gives: one for each visit, one for arrivals.
const seedArrivals = ^uint64(0)

// visit is what one visitor does from the first page to the last: a page, most likely of a popular user; a photo that
// it shows; the following page; a photo of that, and so on. It depends only on the seed and its number.
type visit struct {
	rng    *rand.Rand
	left   int                 // pages left
	next   Page                // the next page
	older  string              // the page that follows the last listing
	cached map[string]struct{} // paths that the browser has cached
}

func (r *run) newVisit() *visit {
	rng := rand.New(rand.NewPCG(r.cfg.Seed, r.visits.Add(1)-1))
	return &visit{rng: rng, left: r.cfg.VisitPages, next: r.cfg.Pages[r.zipf.draw(rng)], cached: map[string]struct{}{}}
}

// follow chooses the next page from what the last one showed; v is nil if that failed. It returns false when the visit
// is over. Links of a user lead to pages of that user, so the next page must belong to the same user.
func (t *visit) follow(v *parsedPage) bool {
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

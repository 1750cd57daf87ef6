package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/schema/page"
)

// Bounds of finding.
const (
	fetchMost  = 1_000 // matches that are all fetched, sorted and counted; there being more is said as "1,000+"
	firstGoal  = 120   // matches that the first parts looked at should hold
	moreParts  = 5     // how many times as many photos are looked at next
	wholeBelow = 8_000 // so many matches are fetched at once: several intersections take longer
	// of more matches no more photos than that are looked at next: all of them may match, though none did before
	denseMost = 12_000
	// so many are fetched at once where the first parts have too few: matches, or photos if none of the parts had any
	restBelow  = 60_000
	tagFacets  = 2 * FacetSize // tags that a search can be narrowed by; some will be those that it asks for
	singlePart = 8_000         // photos of one part that is looked at as a whole though their ids divide it further
)

// A hit's position orders what was found: the level, then the photo's quality and its id, or whichever of these the
// order wants. The highest bit says which way the listing is made, so that each of its pages is made the same way.
const (
	idBits      = 42
	qualityBits = 14
	levelShift  = idBits + qualityBits
	walkedBit   = int64(1) << 61
	idMask      = int64(1)<<idBits - 1
	noPosition  = walkedBit - 1 // above all
)

// finder finds one page of photos for a plan.
type finder struct {
	store *Store
	began time.Time // the search
	plan  *searchPlan
	order page.Sort
	first bool

	matches [levels]float64 // how many photos match, as far as the sample tells

	older  int64
	count  Count
	well   int // of those counted, how many fit well
	facets []Facet
}

type hit struct{ id, position int64 }

// query runs a statement, unless the search is over its time. Each statement has a timeout, but the number of
// statements depends on where the photos are. Errors: ErrTooLong.
func (f *finder) query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if took := time.Since(f.began); f.store.longest > 0 && took > f.store.longest {
		return nil, fmt.Errorf("%w: stopped after %s", ErrTooLong, took)
	}
	return f.store.searches.Query(ctx, sql, args...)
}

// find returns the ids of a page, in order.
func (f *finder) find(ctx context.Context, before int64) ([]int64, error) {
	walk := before&walkedBit != 0
	at := before &^ walkedBit
	if before <= 0 {
		at = noPosition
	}
	if f.plan.match[fitsRoughly] == "" {
		return nil, nil
	}
	many := f.plan.most[fitsRoughly] > fetchMost
	if many {
		if err := f.sample(ctx); err != nil {
			return nil, err
		}
	}
	if before <= 0 {
		walk = many && f.matches[fitsRoughly] > 1.5*fetchMost
	}
	var hits []hit
	var err error
	if !walk {
		sampled := *f
		var all bool
		if hits, all, err = f.fetch(ctx, at, fetchMost); err != nil {
			return nil, err
		}
		if walk = !all && before <= 0; walk {
			f.count, f.facets = sampled.count, sampled.facets
		}
	}
	if walk {
		hits, err = f.walk(ctx, at)
	}
	return f.page(hits, walk), err
}

func (f *finder) page(hits []hit, walked bool) []int64 {
	if len(hits) > PageSize {
		hits = hits[:PageSize]
		f.older = hits[PageSize-1].position
		if walked {
			f.older |= walkedBit
		}
	}
	ids := make([]int64, len(hits))
	for i, h := range hits {
		ids[i] = h.id
	}
	return ids
}

// fetch fetches all matches and counts them, with facets. If there are more than most, all is false.
func (f *finder) fetch(ctx context.Context, before int64, most int) (hits []hit, all bool, err error) {
	p := f.plan
	title, well, exact := p.match[fitsTitle], p.match[fitsWell], p.match[fits]
	if f.order != page.SortRelevance || !p.words {
		title, well, exact = "", "", ""
	}
	rows, err := f.query(ctx, fmt.Sprintf(`
		WITH found AS MATERIALIZED (
			SELECT photo_id, user_id, year, shape, camera, CASE $6::text
				WHEN 'newest' THEN photo_id
				WHEN 'liked' THEN (faves::bigint << %[1]d) | photo_id
				ELSE ((CASE WHEN $2::text = '' AND $3::text = '' AND $4::text = '' THEN 0
					WHEN $2 <> '' AND words @@ (SELECT $2::tsquery) THEN 3 WHEN $3 <> ''
						AND words @@ (SELECT $3::tsquery) THEN 2
					WHEN $4 <> '' AND words @@ (SELECT $4::tsquery) THEN 1
					ELSE 0 END)::bigint << %[2]d) | (quality::bigint << %[1]d) | photo_id END AS position
			FROM photo_search WHERE words @@ (SELECT $1::tsquery) LIMIT $7
		)
		(SELECT 0 AS kind, '' AS value, photo_id AS id, position FROM found WHERE position < $5::bigint
			ORDER BY position DESC
			LIMIT %[3]d)
		UNION ALL
		SELECT 1, '', count(*), 0 FROM found
		UNION ALL
		(SELECT 2, year::text, count(*), 0 FROM found WHERE $8::boolean GROUP BY year)
		UNION ALL
		(SELECT 3, shape, count(*), 0 FROM found WHERE $8 GROUP BY shape)
		UNION ALL
		(SELECT 4, camera, count(*) AS n, 0 FROM found WHERE $8 AND camera <> '' GROUP BY camera ORDER BY n DESC
			LIMIT %[4]d)
		UNION ALL
		(SELECT 5, u.name, n, 0 FROM (
				SELECT user_id, count(*) AS n FROM found WHERE $8 GROUP BY user_id ORDER BY n DESC, user_id LIMIT %[4]d
			) AS o JOIN shown_users u ON u.id = o.user_id)
		UNION ALL
		(SELECT 6, g.name, n, 0 FROM (
				SELECT tag_id, count(*) AS n FROM (SELECT photo_id FROM found WHERE $8) AS s
					JOIN photo_tags t USING (photo_id)
				GROUP BY tag_id ORDER BY n DESC, tag_id LIMIT %[5]d
			) AS c JOIN tags g ON g.id = c.tag_id)`, idBits, levelShift, PageSize+1, FacetSize, tagFacets),
		p.match[fitsRoughly], title, well, exact, before, f.order.String(), most+1, f.first)
	if err != nil {
		return nil, false, err
	}
	hits, err = f.collect(rows)
	all = f.count.Photos <= most
	return hits, all, err
}

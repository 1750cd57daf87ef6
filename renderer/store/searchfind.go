package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/query"
	"flickrkillr/schema/page"
)

// Bounds of finding. The figures stand in the statements too, see PageSize.
const (
	fetchMost  = 5_000 // matches that are all fetched and sorted
	facetMost  = 1_000 // counts of what a search can be narrowed by go no further
	sampleRows = 8_000 // rows looked at to estimate counts, where matches are many
)

// A hit's position orders what was found: the level, then the photo's quality and its id, or whichever of these the order wants. The highest
// bit says which way the listing is made, so that each of its pages is made the same way.
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
	ctx   context.Context
	store *Store
	plan  *searchPlan
	order page.Sort
	first bool
	total int // photos in the index

	older  int64
	count  Count
	facets []Facet
}

type hit struct{ id, position int64 }

// find gives the ids of a page, in their order.
func (f *finder) find(before int64) ([]int64, error) {
	walk := before&walkedBit != 0
	at := before &^ walkedBit
	if before <= 0 {
		at = noPosition
	}
	if f.plan.match[fitsRoughly] == "" {
		return nil, nil
	}
	likely := f.plan.likely[fitsRoughly]
	if before <= 0 {
		walk = f.plan.most[fitsRoughly] > fetchMost && likely > 2*fetchMost
	}
	var hits []hit
	var err error
	if !walk {
		var all bool
		if hits, all, err = f.fetch(at, fetchMost); err != nil {
			return nil, err
		}
		walk = !all && before <= 0
	}
	if walk {
		if hits, err = f.walk(at); err != nil {
			return nil, err
		}
		if f.first {
			err = f.estimate()
		}
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

// fetch takes all matches, unless there are more than most: then all is false. It counts them, and what they can be narrowed by.
func (f *finder) fetch(before int64, most int) (hits []hit, all bool, err error) {
	p := f.plan
	title, well, exact := p.match[fitsTitle], p.match[fitsWell], p.match[fits]
	if f.order != page.SortRelevance || !p.words {
		title, well, exact = "", "", ""
	}
	rows, err := f.store.searches.Query(f.ctx, `
		WITH found AS MATERIALIZED (
			SELECT photo_id, user_id, year, shape, camera, CASE $6::text
				WHEN 'newest' THEN photo_id
				WHEN 'liked' THEN (faves::bigint << 42) | photo_id
				ELSE ((CASE WHEN $2::text = '' AND $3::text = '' AND $4::text = '' THEN 0
					WHEN $2 <> '' AND words @@ (SELECT $2::tsquery) THEN 3 WHEN $3 <> '' AND words @@ (SELECT $3::tsquery) THEN 2
					WHEN $4 <> '' AND words @@ (SELECT $4::tsquery) THEN 1
					ELSE 0 END)::bigint << 56) | (quality::bigint << 42) | photo_id END AS position
			FROM photo_search WHERE words @@ (SELECT $1::tsquery) LIMIT $7
		)
		(SELECT 0 AS kind, '' AS value, photo_id AS id, position FROM found WHERE position < $5::bigint ORDER BY position DESC LIMIT 49)
		UNION ALL
		SELECT 1, '', count(*), 0 FROM found
		UNION ALL
		(SELECT 2, year::text, count(*), 0 FROM found WHERE $8::boolean GROUP BY year)
		UNION ALL
		(SELECT 3, shape, count(*), 0 FROM found WHERE $8 GROUP BY shape)
		UNION ALL
		(SELECT 4, camera, count(*) AS n, 0 FROM found WHERE $8 AND camera <> '' GROUP BY camera ORDER BY n DESC LIMIT 8)
		UNION ALL
		(SELECT 5, u.name, n, 0 FROM (SELECT user_id, count(*) AS n FROM found WHERE $8 GROUP BY user_id ORDER BY n DESC, user_id LIMIT 8) AS o
			JOIN users u ON u.id = o.user_id)
		UNION ALL
		(SELECT 6, g.name, n, 0 FROM (
				SELECT tag_id, count(*) AS n FROM (SELECT photo_id FROM found WHERE $8 LIMIT 1000) AS s JOIN photo_tags t USING (photo_id)
				GROUP BY tag_id ORDER BY n DESC, tag_id LIMIT 16
			) AS c JOIN tags g ON g.id = c.tag_id)`,
		p.match[fitsRoughly], title, well, exact, before, f.order.String(), most+1, f.first)
	if err != nil {
		return nil, false, err
	}
	hits, err = f.collect(rows)
	all = f.count.Photos <= most
	for i := range f.facets {
		if f.facets[i].Kind == query.Tag && f.count.Photos > facetMost {
			f.facets[i].Precision = AtLeast
		}
	}
	return hits, all, err
}

// collect reads hits, their number, and facets.
func (f *finder) collect(rows pgx.Rows) ([]hit, error) {
	f.facets = f.facets[:0]
	hits := make([]hit, 0, PageSize+1)
	var kind int
	var value string
	var n, position int64
	_, err := pgx.ForEachRow(rows, []any{&kind, &value, &n, &position}, func() error {
		switch kind {
		case 0:
			hits = append(hits, hit{n, position})
		case 1:
			f.count.Photos = int(n)
		default:
			of := [...]query.Kind{2: query.Year, 3: query.Orientation, 4: query.Camera, 5: query.By, 6: query.Tag}[kind]
			f.facets = append(f.facets, Facet{Kind: of, Count: Count{Value: value, Photos: int(n)}})
		}
		return nil
	})
	slices.SortFunc(hits, func(a, b hit) int { return int(min(1, max(-1, b.position-a.position))) })
	slices.SortStableFunc(f.facets, func(a, b Facet) int {
		switch {
		case a.Kind != b.Kind:
			return int(a.Kind) - int(b.Kind)
		case a.Kind == query.Year && a.Value != b.Value:
			return -compareText(a.Value, b.Value)
		case a.Photos != b.Photos:
			return b.Photos - a.Photos
		}
		return compareText(a.Value, b.Value)
	})
	return hits, err
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// walk goes through the photos in the wanted order until a page is found. By relevance it goes twice: through those that fit well, and then
// through the others.
func (f *finder) walk(before int64) ([]hit, error) {
	p := f.plan
	if f.order != page.SortRelevance || !p.words {
		return f.stage(p.match[fitsRoughly], "", 0, before, p.most[fitsRoughly])
	}
	var hits []hit
	well := int64(fitsWell) << levelShift
	if p.match[fitsWell] != "" && before > well {
		found, err := f.stage(p.match[fitsWell], "", well, before, p.most[fitsWell])
		if err != nil || len(found) > PageSize {
			return found, err
		}
		hits = found
	}
	others, err := f.stage(p.match[fitsRoughly], p.match[fitsWell], 0, before, p.most[fitsRoughly])
	hits = append(hits, others...)
	return hits[:min(len(hits), PageSize+1)], err
}

// stage gives up to 49 matches of a tsquery, and not of another unless that is "", below a position. Base is added to their positions. Most
// is how many there may be: if they are few they are all fetched; otherwise it walks through the next photos, and if too few of those match
// all matches are fetched after all.
func (f *finder) stage(match, except string, base, before int64, most int) ([]hit, error) {
	upper := min(before, base|(int64(1)<<levelShift-1)) - base
	if f.order != page.SortRelevance {
		upper = before
	}
	var hits []hit
	if most > fetchMost {
		rows, err := f.store.searches.Query(f.ctx, walks[f.order], match, except, upper>>idBits, upper&idMask)
		if err != nil {
			return nil, err
		}
		if hits, err = collectHits(rows, base); err != nil || len(hits) > PageSize {
			return hits, err
		}
	}
	rows, err := f.store.searches.Query(f.ctx, `
		SELECT photo_id, position FROM (
			SELECT photo_id, CASE $3::text WHEN 'newest' THEN photo_id WHEN 'liked' THEN (faves::bigint << 42) | photo_id
				ELSE (quality::bigint << 42) | photo_id END AS position
			FROM photo_search WHERE words @@ (SELECT $1::tsquery) AND ($2::text = '' OR NOT words @@ (SELECT $2::tsquery)) LIMIT 60000
		) AS m WHERE position < $4::bigint ORDER BY position DESC LIMIT 49`, match, except, f.order.String(), upper)
	if err != nil {
		return nil, err
	}
	all, err := collectHits(rows, base)
	if len(all) < len(hits) { // more than 60,000 match
		all = hits
	}
	return all, err
}

func collectHits(rows pgx.Rows, base int64) ([]hit, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (h hit, err error) {
		err = r.Scan(&h.id, &h.position)
		h.position |= base
		return h, err
	})
}

// walks are the statements that walk, by their order: 49 of the next 15,000 photos.
var walks = [...]string{
	page.SortRelevance: `
		SELECT photo_id, position FROM (
			SELECT photo_id, (quality::bigint << 42) | photo_id AS position, words FROM photo_search
			WHERE (quality, photo_id) < ($3::integer, $4::bigint) ORDER BY quality DESC, photo_id DESC LIMIT 15000
		) AS w WHERE words @@ (SELECT $1::tsquery) AND ($2::text = '' OR NOT words @@ (SELECT $2::tsquery)) LIMIT 49`,
	page.SortNewest: `
		SELECT photo_id, photo_id FROM (
			SELECT photo_id, words FROM photo_search WHERE $3::bigint >= 0 AND photo_id < $4::bigint ORDER BY photo_id DESC LIMIT 15000
		) AS w WHERE words @@ (SELECT $1::tsquery) AND ($2::text = '' OR NOT words @@ (SELECT $2::tsquery)) LIMIT 49`,
	page.SortLiked: `
		SELECT photo_id, position FROM (
			SELECT photo_id, (faves::bigint << 42) | photo_id AS position, words FROM photo_search
			WHERE (faves, photo_id) < ($3::integer, $4::bigint) ORDER BY faves DESC, photo_id DESC LIMIT 15000
		) AS w WHERE words @@ (SELECT $1::tsquery) AND ($2::text = '' OR NOT words @@ (SELECT $2::tsquery)) LIMIT 49`,
}

// estimate counts by a sample, where matches are many: the total, and what they can be narrowed by. A count that is most likely over 1,000
// is given as that.
func (f *finder) estimate() error {
	share := min(100, 100*sampleRows/float64(max(1, f.total)))
	rows, err := f.store.searches.Query(f.ctx, `
		WITH found AS MATERIALIZED (
			SELECT photo_id, year, shape, camera FROM photo_search TABLESAMPLE SYSTEM ($2) WHERE words @@ (SELECT $1::tsquery)
		)
		SELECT 1, '', count(*), 0::bigint FROM found
		UNION ALL
		SELECT 2, year::text, count(*), 0 FROM found GROUP BY year
		UNION ALL
		SELECT 3, shape, count(*), 0 FROM found GROUP BY shape
		UNION ALL
		(SELECT 4, camera, count(*) AS n, 0 FROM found WHERE camera <> '' GROUP BY camera ORDER BY n DESC LIMIT 8)
		UNION ALL
		(SELECT 6, g.name, n, 0 FROM (
				SELECT tag_id, count(*) AS n FROM (SELECT photo_id FROM found LIMIT 500) AS s JOIN photo_tags t USING (photo_id)
				GROUP BY tag_id ORDER BY n DESC, tag_id LIMIT 16
			) AS c JOIN tags g ON g.id = c.tag_id)`, f.plan.match[fitsRoughly], share)
	if err != nil {
		return err
	}
	if _, err = f.collect(rows); err != nil {
		return err
	}
	sampled := max(1, min(500, f.count.Photos)) // of which the tags were counted
	tagged := float64(f.count.Photos) / float64(sampled)
	for i := range f.facets {
		by := 100 / share
		if f.facets[i].Kind == query.Tag {
			by *= tagged
		}
		f.facets[i].extrapolate(by)
	}
	f.count.Photos, f.count.Precision = facetMost, AtLeast
	return nil
}

func (c *Count) extrapolate(by float64) {
	if by <= 1 {
		return
	}
	c.Photos, c.Precision = int(float64(c.Photos)*by), About
	switch {
	case c.Photos >= 2*facetMost:
		c.Photos, c.Precision = facetMost, AtLeast
	case c.Photos > 100:
		c.Photos -= c.Photos % 100
	}
}

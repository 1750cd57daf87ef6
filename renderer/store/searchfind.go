package store

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/words"
	"flickrkillr/schema/page"
)

// Bounds of finding. The figures stand in the statements too, see PageSize.
const (
	fetchMost  = 1_000  // matches that are all fetched, sorted and counted; there being more is said as "1,000+"
	firstGoal  = 120    // matches that the first parts looked at should hold
	moreParts  = 5      // how many times as many photos are looked at next
	wholeBelow = 8_000  // so many matches are fetched at once: several intersections take longer
	denseMost  = 12_000 // of more matches no more photos than that are looked at next: all of them may match, though none did before
	singlePart = 8_000  // photos of one part that is looked at as a whole though their ids divide it further
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

	matches [levels]float64 // how many photos match, as far as the sample tells

	older  int64
	count  Count
	well   int // of those counted, how many fit well
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
	many := f.plan.most[fitsRoughly] > fetchMost
	if many {
		if err := f.sample(); err != nil {
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
		if hits, all, err = f.fetch(at, fetchMost); err != nil {
			return nil, err
		}
		if walk = !all && before <= 0; walk {
			f.count, f.facets = sampled.count, sampled.facets
		}
	}
	if walk {
		hits, err = f.walk(at)
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
				SELECT tag_id, count(*) AS n FROM (SELECT photo_id FROM found WHERE $8) AS s JOIN photo_tags t USING (photo_id)
				GROUP BY tag_id ORDER BY n DESC, tag_id LIMIT 16
			) AS c JOIN tags g ON g.id = c.tag_id)`,
		p.match[fitsRoughly], title, well, exact, before, f.order.String(), most+1, f.first)
	if err != nil {
		return nil, false, err
	}
	hits, err = f.collect(rows)
	all = f.count.Photos <= most
	return hits, all, err
}

// collect reads hits, their number, and facets.
func (f *finder) collect(rows pgx.Rows) ([]hit, error) {
	f.facets = nil
	hits := make([]hit, 0, PageSize+1)
	var kind int
	var value string
	var n, position int64
	_, err := pgx.ForEachRow(rows, []any{&kind, &value, &n, &position}, func() error {
		switch kind {
		case 0:
			hits = append(hits, hit{n, position})
		case 1:
			f.count, f.well = Count{Photos: int(n)}, int(position)
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
			return strings.Compare(b.Value, a.Value)
		case a.Photos != b.Photos:
			return b.Photos - a.Photos
		}
		return strings.Compare(a.Value, b.Value)
	})
	return hits, err
}

// walk looks in one part of the photos after the other until a page is found. By relevance it goes twice: for those that fit well, and then
// for the others.
func (f *finder) walk(before int64) ([]hit, error) {
	p := f.plan
	parts, err := f.parts()
	if err != nil {
		return nil, err
	}
	all := search{match: p.match[fitsRoughly], likely: f.matches[fitsRoughly]}
	if f.order != page.SortRelevance || !p.words {
		return f.stage(all, parts, before)
	}
	var hits []hit
	well := search{match: p.match[fitsWell], likely: f.matches[fitsWell], base: int64(fitsWell) << levelShift}
	if well.match != "" {
		if before > well.base {
			if hits, err = f.stage(well, parts, before); err != nil || len(hits) > PageSize {
				return hits, err
			}
		}
		all.match += " & !(" + well.match + ")"
		all.likely -= min(well.likely, all.likely)
	}
	others, err := f.stage(all, parts, before)
	hits = append(hits, others...)
	return hits[:min(len(hits), PageSize+1)], err
}

// search is a tsquery, how many photos it likely matches, and what is added to their positions.
type search struct {
	match  string
	likely float64
	base   int64
}

// part is some neighbours in the wanted order.
type part struct {
	match  string
	most   int64 // a position that is above all of it
	photos float64
}

// stage gives up to 49 matches below a position, from the parts in their order.
func (f *finder) stage(s search, parts []part, before int64) ([]hit, error) {
	upper := before
	if f.order == page.SortRelevance {
		upper = min(before, s.base|(int64(1)<<levelShift-1)) - s.base
	}
	goal := firstGoal * float64(f.plan.total) / max(s.likely, 1) // photos
	if s.likely < wholeBelow {
		goal = float64(f.plan.total)
	}
	// Parts that lie wholly above the position are passed over.
	at := max(0, sort.Search(len(parts), func(i int) bool { return parts[i].most <= upper })-1)
	var hits []hit
	for ; at < len(parts) && len(hits) <= PageSize; goal *= moreParts {
		var b strings.Builder
		n, photos := 0, 0.0
		for ; at < len(parts) && (n == 0 || photos < goal && (s.likely < wholeBelow || photos < denseMost)); at++ {
			if n > 0 {
				b.WriteString(" | ")
			}
			b.WriteString(parts[at].match)
			photos += parts[at].photos
			n++
		}
		match := s.match
		if n < len(parts) { // a tsquery of all parts only takes time
			match += " & (" + b.String() + ")"
		}
		rows, err := f.store.searches.Query(f.ctx, `
			SELECT photo_id, position FROM (
				SELECT photo_id, CASE $3::text WHEN 'newest' THEN photo_id WHEN 'liked' THEN (faves::bigint << 42) | photo_id
					ELSE (quality::bigint << 42) | photo_id END AS position
				FROM photo_search WHERE words @@ (SELECT $1::tsquery)
			) AS m WHERE position < $2::bigint ORDER BY position DESC LIMIT 49`,
			match, upper, f.order.String())
		if err != nil {
			return nil, err
		}
		found, err := collectHits(rows, s.base)
		if err != nil {
			return nil, err
		}
		hits = append(hits, found...)
	}
	return hits[:min(len(hits), PageSize+1)], nil
}

func collectHits(rows pgx.Rows, base int64) ([]hit, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (h hit, err error) {
		err = r.Scan(&h.id, &h.position)
		h.position |= base
		return h, err
	})
}

// parts gives the parts of all photos in the wanted order, the first one first. Photos with the same number of faves are divided by their ids.
func (f *finder) parts() ([]part, error) {
	ids, err := f.numbered(words.ByID)
	if err != nil || f.order == page.SortNewest {
		return f.listed(words.ByID, ids, nil), err
	}
	by := words.ByQuality
	if f.order == page.SortLiked {
		by = words.ByFaves
	}
	numbers, err := f.numbered(by)
	return f.listed(by, numbers, ids), err
}

type numberedPart struct {
	number int64
	photos float64
}

// numbered reads the parts of a kind, the greatest first.
func (f *finder) numbered(by words.Band) ([]numberedPart, error) {
	prefix := string(words.Filter) + string(by)
	rows, err := f.store.searches.Query(f.ctx, "SELECT substr(word, 3)::bigint, photos FROM search_words WHERE word > $1 AND word < $2", prefix, prefix+":")
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p numberedPart, err error) {
		err = r.Scan(&p.number, &p.photos)
		return p, err
	})
	slices.SortFunc(all, func(a, b numberedPart) int { return cmp.Compare(b.number, a.number) })
	return all, err
}

// listed turns numbers into parts.
func (f *finder) listed(by words.Band, all, ids []numberedPart) []part {
	parts := make([]part, 0, len(all))
	quoted := func(by words.Band, n int64) string {
		return string(words.AppendQuoted(nil, string(words.Filter)+by.Name(n)))
	}
	for _, p := range all {
		most := by.End(p.number)
		if by != words.ByID {
			most <<= idBits
		}
		if !by.Single(p.number) || p.photos <= singlePart {
			parts = append(parts, part{quoted(by, p.number), most, p.photos})
			continue
		}
		for _, id := range ids {
			parts = append(parts, part{"(" + quoted(by, p.number) + " & " + quoted(words.ByID, id.number) + ")",
				p.number<<idBits | words.ByID.End(id.number), p.photos * id.photos / float64(max(1, f.plan.total))})
		}
	}
	return parts
}

// sample estimates, by one photo in 50, how many match, and on the first page what they can be narrowed by. A count that is most likely over
// 1,000 is given as that.
func (f *finder) sample() error {
	p := f.plan
	rows, err := f.store.searches.Query(f.ctx, `
		WITH found AS MATERIALIZED (
			SELECT photo_id, year, shape, camera, $2::text <> '' AND words @@ (SELECT $2::tsquery) AS well FROM photo_search
			WHERE words @@ (SELECT $1::tsquery) LIMIT 1000
		)
		SELECT 1, '', count(*), count(*) FILTER (WHERE well) FROM found
		UNION ALL
		SELECT 2, year::text, count(*), 0 FROM found WHERE $3::boolean GROUP BY year
		UNION ALL
		SELECT 3, shape, count(*), 0 FROM found WHERE $3 GROUP BY shape
		UNION ALL
		(SELECT 4, camera, count(*) AS n, 0 FROM found WHERE $3 AND camera <> '' GROUP BY camera ORDER BY n DESC LIMIT 8)
		UNION ALL
		(SELECT 6, g.name, n, 0 FROM (
				SELECT tag_id, count(*) AS n FROM (SELECT photo_id FROM found WHERE $3 LIMIT 300) AS s JOIN photo_tags t USING (photo_id)
				GROUP BY tag_id ORDER BY n DESC, tag_id LIMIT 16
			) AS c JOIN tags g ON g.id = c.tag_id)`,
		p.match[fitsRoughly]+" & "+string(words.AppendQuoted(nil, string(words.Filter)+words.Sample)), p.match[fitsWell], f.first)
	if err != nil {
		return err
	}
	if _, err = f.collect(rows); err != nil {
		return err
	}
	n := float64(f.count.Photos)
	f.matches[fitsRoughly] = n * words.SampleOf
	f.matches[fitsWell] = float64(f.well) * words.SampleOf
	for i := range f.facets {
		by := float64(words.SampleOf)
		if f.facets[i].Kind == query.Tag { // of no more than 300
			by *= n / min(300, n)
		}
		f.facets[i].extrapolate(by)
	}
	f.count.Photos, f.count.Precision = fetchMost, AtLeast
	return nil
}

func (c *Count) extrapolate(by float64) {
	if by <= 1 {
		return
	}
	c.Photos, c.Precision = int(float64(c.Photos)*by), About
	switch {
	case c.Photos >= 2*fetchMost:
		c.Photos, c.Precision = fetchMost, AtLeast
	case c.Photos > 100:
		c.Photos -= c.Photos % 100
	}
}

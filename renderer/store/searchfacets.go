package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/words"
)

// What a sample reads at most.
const (
	sampleMost = 1_000 // photos
	tagSample  = 300   // photos whose tags are counted
)

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

// sample estimates from one photo in 50 how many photos match, and for the first page the facets. An estimate that is
// most likely over 1,000 is reported as "1,000+".
func (f *finder) sample(ctx context.Context) error {
	p := f.plan
	rows, err := f.query(ctx, fmt.Sprintf(`
		WITH found AS MATERIALIZED (
			SELECT photo_id, year, shape, camera, $2::text <> '' AND words @@ (SELECT $2::tsquery) AS well
				FROM photo_search
			WHERE words @@ (SELECT $1::tsquery) LIMIT %[1]d
		)
		SELECT 1, '', count(*), count(*) FILTER (WHERE well) FROM found
		UNION ALL
		SELECT 2, year::text, count(*), 0 FROM found WHERE $3::boolean GROUP BY year
		UNION ALL
		SELECT 3, shape, count(*), 0 FROM found WHERE $3 GROUP BY shape
		UNION ALL
		(SELECT 4, camera, count(*) AS n, 0 FROM found WHERE $3 AND camera <> '' GROUP BY camera ORDER BY n DESC
			LIMIT %[2]d)
		UNION ALL
		(SELECT 6, g.name, n, 0 FROM (
				SELECT tag_id, count(*) AS n FROM (SELECT photo_id FROM found WHERE $3 LIMIT %[4]d) AS s
					JOIN photo_tags t USING (photo_id)
				GROUP BY tag_id ORDER BY n DESC, tag_id LIMIT %[3]d
			) AS c JOIN tags g ON g.id = c.tag_id)`, sampleMost, FacetSize, tagFacets, tagSample),
		p.match[fitsRoughly]+" & "+string(words.AppendQuoted(nil, string(words.Filter)+words.Sample)),
		p.match[fitsWell], f.first)
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
		if f.facets[i].Kind == query.Tag { // of no more than tagSample
			by *= n / min(tagSample, n)
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

package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/words"
	"flickrkillr/schema/page"
)

// walk searches one part of the photos after the other until a page is full. For the order by relevance it makes two
// passes: over the photos that fit well, then over the others.
func (f *finder) walk(ctx context.Context, before int64) ([]hit, error) {
	p := f.plan
	parts, err := f.parts(ctx)
	if err != nil {
		return nil, err
	}
	all := search{match: p.match[fitsRoughly], likely: f.matches[fitsRoughly]}
	if f.order != page.SortRelevance || !p.words {
		return f.stage(ctx, all, parts, before)
	}
	var hits []hit
	well := search{match: p.match[fitsWell], likely: f.matches[fitsWell], base: int64(fitsWell) << levelShift}
	if well.match != "" {
		if before > well.base {
			if hits, err = f.stage(ctx, well, parts, before); err != nil || len(hits) > PageSize {
				return hits, err
			}
		}
		all.match += " & !(" + well.match + ")"
		all.likely -= min(well.likely, all.likely)
	}
	others, err := f.stage(ctx, all, parts, before)
	hits = append(hits, others...)
	return hits[:min(len(hits), PageSize+1)], err
}

// search is a tsquery, the estimated number of its matches, and what is added to their positions.
type search struct {
	match  string
	likely float64
	base   int64
}

// part is a range of photos that are neighbours in the wanted order.
type part struct {
	match  string
	most   int64 // a position that is above all of it
	photos float64
}

// stage returns up to one more match than a page holds, below a position, from the parts in their order.
func (f *finder) stage(ctx context.Context, s search, parts []part, before int64) ([]hit, error) {
	upper := before
	if f.order == page.SortRelevance {
		upper = min(before, s.base|(int64(1)<<levelShift-1)) - s.base
	}
	goal := firstGoal * float64(f.plan.total) / max(s.likely, 1) // photos
	// Parts that lie wholly above the position are passed over.
	at := max(0, sort.Search(len(parts), func(i int) bool { return parts[i].most <= upper })-1)
	var hits []hit
	for step := 0; at < len(parts) && len(hits) <= PageSize; step++ {
		match, below := s.match, min(upper, parts[at].most)
		if s.likely < wholeBelow || step > 1 && s.likely < restBelow {
			at = len(parts)
		} else {
			widest := denseMost
			if step > 1 && len(hits) == 0 { // as with year:2010, newest first
				widest = restBelow
			}
			in, next := together(parts, at, min(goal, float64(widest)))
			if next-at < len(parts) { // a tsquery of all parts only takes time
				match += " & (" + in + ")"
			}
			at = next
			goal *= moreParts
		}
		rows, err := f.query(ctx, fmt.Sprintf(`
			SELECT photo_id, position FROM (
				SELECT photo_id, CASE $3::text WHEN 'newest' THEN photo_id
					WHEN 'liked' THEN (faves::bigint << %[1]d) | photo_id
					ELSE (quality::bigint << %[1]d) | photo_id END AS position
				FROM photo_search WHERE words @@ (SELECT $1::tsquery)
			) AS m WHERE position < $2::bigint ORDER BY position DESC LIMIT %[2]d`, idBits, PageSize+1),
			match, below, f.order.String())
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

// together gives the tsquery of the parts from one on that have so many photos, at least of that one, and the part
// after them.
func together(parts []part, at int, goal float64) (match string, next int) {
	var b strings.Builder
	for photos := 0.0; at < len(parts) && (b.Len() == 0 || photos < goal); at++ {
		if b.Len() > 0 {
			b.WriteString(" | ")
		}
		b.WriteString(parts[at].match)
		photos += parts[at].photos
	}
	return b.String(), at
}

func collectHits(rows pgx.Rows, base int64) ([]hit, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (h hit, err error) {
		err = r.Scan(&h.id, &h.position)
		h.position |= base
		return h, err
	})
}

// parts gives the parts of all photos in the wanted order, the first one first. Photos with the same number of faves
// are divided by their ids.
func (f *finder) parts(ctx context.Context) ([]part, error) {
	ids, err := f.numbered(ctx, words.ByID)
	if err != nil || f.order == page.SortNewest {
		return f.listed(words.ByID, ids, nil), err
	}
	by := words.ByQuality
	if f.order == page.SortLiked {
		by = words.ByFaves
	}
	numbers, err := f.numbered(ctx, by)
	return f.listed(by, numbers, ids), err
}

type numberedPart struct {
	number int64
	photos float64
}

// numbered reads the parts of a kind, the greatest first.
func (f *finder) numbered(ctx context.Context, by words.Band) ([]numberedPart, error) {
	prefix := string(words.Filter) + string(by)
	rows, err := f.query(ctx, "SELECT substr(word, 3)::bigint, photos FROM search_words WHERE word > $1 AND word < $2",
		prefix, prefix+":")
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

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"flickrkillr/renderer/query"
	"flickrkillr/schema/page"
)

// ErrTooLong: a statement of a search took longer than [SearchTimeout], or the search longer than [SearchLongest].
var ErrTooLong = errors.New("the search takes too long")

// SearchPage is the result of a query.
type SearchPage struct {
	Snapshot
	Photos   []Card          // at most PageSize
	Older    int64           // position of the next page: Ref.Before(Older); 0 where there is none
	Total    Count           // photos found, the first page only
	People   []FoundPerson   // first page only
	Tags     []Count         // first page only: tags like the query
	Facets   []Facet         // first page only: what the search can be narrowed by
	Meant    *query.Query    // the corrected query that was searched for instead; nil: none
	Misspelt map[string]bool // the words that were replaced in it, folded
	Building bool            // the index is being built: nothing is found yet
}

// FoundPerson is a person who was found.
type FoundPerson struct {
	Owner
	PhotoCount int32
	Picture    // of their newest photo; the zero Picture if they have none
}

// Count says how many photos have something.
type Count struct {
	Value     string
	Photos    int
	Precision Precision
}

// Precision says how exact a number is.
type Precision uint8

// The precisions.
const (
	Exact Precision = iota
	AtLeast
	About
)

// Facet is a value that narrows a search.
type Facet struct {
	Kind query.Kind
	Count
	Owner // of query.By; Value is their name
}

// Search finds photos in an order: the first page, or the page at the position that the page before returned. The
// first page also has people and tags that match the same words, and facets with counts. When a word of the query is
// in no photo, Search searches for the most likely correction. Errors: ErrTooLong.
//
// The GIN index finds all matches, not the best ones, and a frequent word has 100,000 of them. A query with at most
// 1,000 matches is answered by fetching them all. A query with more is looked for in bands of photos (see
// [words.Band]) in the wanted order, the best band first. search_words tells in advance how many photos have a word
// and how many a band holds. A page far back starts at its own band and costs as much as the first page, unless few
// photos of the following bands match: then the search reads more bands, and gives up after [SearchLongest].
func (s *Store) Search(ctx context.Context, q *query.Query, order page.Sort, before int64) (SearchPage, error) {
	return withRetry(ctx, s, readLimit, "search", isRetryableRead, func(ctx context.Context) (SearchPage, error) {
		found, err := s.search(ctx, q, order, before)
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == "57014" { // query_canceled
			err = fmt.Errorf("%w: %w", ErrTooLong, err)
		}
		return found, err
	})
}

func (s *Store) search(
	ctx context.Context, q *query.Query, order page.Sort, before int64,
) (found SearchPage, err error) {
	began := time.Now()
	if q.Nothing() {
		return s.showFound(ctx, found, nil, q, false)
	}
	v, err := s.loadVocabulary(ctx, q)
	if err != nil {
		return found, err
	}
	if !v.built {
		found.Building = true
		return s.showFound(ctx, found, nil, q, false)
	}
	plan := compile(q, v)
	if len(plan.unknown) > 0 {
		if found.Meant, found.Misspelt, err = s.meant(ctx, q, plan.unknown); err != nil {
			return found, err
		}
		if found.Meant != nil {
			if v, err = s.loadVocabulary(ctx, found.Meant); err != nil {
				return found, err
			}
			plan = compile(found.Meant, v)
		}
	}
	f := finder{store: s, began: began, plan: plan, order: order, first: before <= 0}
	hits, err := f.find(ctx, before)
	if err != nil {
		return found, err
	}
	found.Older, found.Total, found.Facets = f.older, f.count, f.facets
	return s.showFound(ctx, found, hits, q, f.first)
}

// meant returns the corrected query where some words of q are unknown; nil if there is no correction.
func (s *Store) meant(ctx context.Context, q *query.Query, unknown []string) (*query.Query, map[string]bool, error) {
	by, err := s.correct(ctx, unknown)
	if err != nil {
		return nil, nil, err
	}
	replaced := map[string]bool{}
	for _, word := range unknown {
		if by[word] == "" {
			return nil, nil, nil
		}
		replaced[word] = true
	}
	corrected := q.Replace(by)
	return &corrected, replaced, nil
}

// showFound reads the rows of the hits, in their order, and for the first page people and tags.
func (s *Store) showFound(
	ctx context.Context, found SearchPage, hits []int64, q *query.Query, first bool,
) (SearchPage, error) {
	people, tags := peopleQuery{}, tagQuery{}
	if first {
		people, tags = peopleOf(q), tagsOf(q)
	}
	owners := []string{}
	for _, f := range found.Facets {
		if f.Kind == query.By {
			owners = append(owners, f.Value)
		}
	}
	rows, err := s.searches.Query(ctx, `
		WITH people AS MATERIALIZED (
			SELECT u.id, u.name, u.display_name, u.version, u.created_at, u.photo_count FROM (
				SELECT user_id FROM person_search WHERE $2::text <> '' AND words @@ (SELECT $2::tsquery) LIMIT 400
			) AS m JOIN shown_users u ON u.id = m.user_id ORDER BY u.name = $3 DESC, u.photo_count DESC, u.id LIMIT 6
		), ideas AS MATERIALIZED (
			SELECT word, max(photos) AS photos, max(likeness) AS likeness FROM (
				SELECT word, photos, 3 AS likeness FROM search_words WHERE word = ANY ($4::text[])
				UNION ALL
				(SELECT word, photos, 2 FROM search_words WHERE $5::text <> '' AND word >= $5 AND word < $6
					ORDER BY photos DESC LIMIT 8)
				UNION ALL
				(SELECT word, photos, 1 FROM search_words WHERE $7::text <> '' AND left(word, 1) = '#'
					AND word LIKE (SELECT $7::text) ORDER BY photos DESC LIMIT 8)
			) AS t WHERE photos > 0 GROUP BY word ORDER BY max(likeness) DESC, max(photos) DESC, word LIMIT 8
		)
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 3, h.nr::integer, p.id, u.version, p.posted_at, p.title, p.id || '.' || p.picture,
			p.width, p.height, p.color, u.name, u.display_name
		FROM unnest($1::bigint[]) WITH ORDINALITY AS h (id, nr) JOIN photos p ON p.id = h.id AND NOT p.private
			JOIN shown_users u ON u.id = p.user_id
		UNION ALL
		SELECT 6, (row_number() OVER ())::integer, p.photo_count, p.version, p.created_at, '',
			coalesce(n.id || '.' || n.picture, ''), coalesce(n.width, 0), coalesce(n.height, 0),
			coalesce(n.color, 0), p.name, p.display_name
		FROM people p LEFT JOIN LATERAL (SELECT * FROM photos o WHERE o.user_id = p.id AND NOT o.private
			ORDER BY o.id DESC LIMIT 1) AS n ON true
		UNION ALL
		SELECT 7, (row_number() OVER ())::integer, photos, 0, now(), substr(word, 2), '', 0, 0, 0, '', '' FROM ideas
		UNION ALL
		SELECT 8, 0, 0, version, now(), '', '', 0, 0, 0, name, display_name FROM shown_users
			WHERE name = ANY ($8::text[])`,
		hits, people.words, people.name, tags.exact, tags.from, tags.to, tags.like, owners)
	if err != nil {
		return found, err
	}
	return found, found.collect(rows, len(hits))
}

func (p *SearchPage) collect(rows pgx.Rows, hits int) error {
	places := make([]Card, hits+1)
	p.People, p.Tags = make([]FoundPerson, 0, PeopleSize), make([]Count, 0, TagIdeasSize)
	people, tags := [PeopleSize + 1]FoundPerson{}, [TagIdeasSize + 1]Count{}
	err := eachRow(rows, p.begin, func(r *row) {
		switch r.kind {
		case kindPhoto:
			photo := r.photo()
			places[photo.place] = photo.card
			p.on(photo.card.Name, photo.version)
		case kindPerson:
			found := r.person()
			people[found.place] = found.person
			p.on(found.person.Name, found.version)
		case kindTagIdea:
			tag := r.tagCount()
			tags[tag.place] = Count{tag.name, int(tag.photos), Exact}
		case kindFacetOwner:
			facet := r.facetOwner()
			for i := range p.Facets {
				if f := &p.Facets[i]; f.Kind == query.By && f.Value == facet.owner.Name {
					f.Owner = facet.owner
				}
			}
			p.on(facet.owner.Name, facet.version)
		}
	})
	// An owner who was deleted meanwhile has no scope to depend on.
	p.Facets = slices.DeleteFunc(p.Facets, func(f Facet) bool { return f.Kind == query.By && f.Owner.Name == "" })
	p.Photos = make([]Card, 0, hits)
	for _, c := range places {
		if c.ID != 0 {
			p.Photos = append(p.Photos, c)
		}
	}
	for _, person := range people {
		if person.Name != "" {
			p.People = append(p.People, person)
		}
	}
	for _, tag := range tags {
		if tag.Value != "" {
			p.Tags = append(p.Tags, tag)
		}
	}
	return err
}

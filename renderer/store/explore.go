package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// ExplorePage is the most interesting photos of the newest days, or of one day, the most interesting first.
type ExplorePage struct {
	Snapshot
	Photos []Card      // at most PageSize, and at most two of anybody
	Days   []time.Time // Explore: the newest days that have photos, newest first; at most 7
	// ExploreDay: the nearest days before and after that have photos; the zero time where there is none.
	Earlier, Later time.Time
}

// exploreRanking scores photos: the more likes the higher, the more their owner is usually liked (the mean of their
// newest twelve photos) and the older they are the lower. Age counts in days from the newest photo, not from now, so
// that the same rows give the same page. Candidates are the most liked photos of a day, by the index photos_day: 60
// for each of the newest days, 300 for one day.
const exploreRanking = `
		owners AS MATERIALIZED (
			SELECT o.user_id, (SELECT avg(l.faves)::double precision FROM (
				SELECT p.faves FROM photos p WHERE p.user_id = o.user_id AND NOT p.private ORDER BY p.id DESC LIMIT 12
			) AS l) AS usual
			FROM (SELECT DISTINCT user_id FROM best) AS o
		), scored AS (
			SELECT b.id, b.user_id, b.faves / sqrt(1 + o.usual) / (1 + b.age) AS score FROM best b
				JOIN owners o ON o.user_id = b.user_id
		), ranked AS (
			SELECT id, score, row_number() OVER (PARTITION BY user_id ORDER BY score DESC, id DESC) AS nth FROM scored
		), chosen AS MATERIALIZED (
			SELECT id, row_number() OVER (ORDER BY score DESC, id DESC) AS place FROM ranked WHERE nth <= 2
				ORDER BY place LIMIT 48
		)
		SELECT 0, 0, 0::bigint, version, ` + readAt + `, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 3, c.place::integer, p.id, u.version, p.posted_at, p.title, p.id || '.' || p.picture,
			p.width, p.height, p.color, u.name, u.display_name
		FROM chosen c JOIN photos p ON p.id = c.id JOIN shown_users u ON u.id = p.user_id
		UNION ALL`

// Explore reads the most interesting photos of the seven newest days that have any.
func (s *Store) Explore(ctx context.Context) (ExplorePage, error) {
	return read(ctx, s, "read explore", collectExplore, `
		WITH RECURSIVE walked AS (
			(SELECT (posted_at AT TIME ZONE 'UTC')::date AS day FROM photos WHERE NOT private
				ORDER BY (posted_at AT TIME ZONE 'UTC')::date DESC LIMIT 1)
			UNION ALL
			SELECT (SELECT (p.posted_at AT TIME ZONE 'UTC')::date FROM photos p
				WHERE NOT p.private AND (p.posted_at AT TIME ZONE 'UTC')::date < w.day
				ORDER BY (p.posted_at AT TIME ZONE 'UTC')::date DESC LIMIT 1)
			FROM walked w WHERE w.day IS NOT NULL
		), days AS MATERIALIZED (
			SELECT day FROM walked WHERE day IS NOT NULL LIMIT 7
		), best AS MATERIALIZED (
			SELECT p.id, p.user_id, p.faves, (SELECT max(day) FROM days) - d.day AS age
			FROM days d, LATERAL (
				SELECT * FROM photos o WHERE NOT o.private AND (o.posted_at AT TIME ZONE 'UTC')::date = d.day
				ORDER BY o.faves DESC, o.id DESC LIMIT 60
			) AS p
		), `+exploreRanking+`
		SELECT 12, 0, 0, 0, day::timestamp AT TIME ZONE 'UTC', '', '', 0, 0, 0, '', '' FROM days`)
}

// ExploreDay reads the most interesting photos of a day in UTC; day is any moment of it. The page is empty for a day
// without photos.
func (s *Store) ExploreDay(ctx context.Context, day time.Time) (ExplorePage, error) {
	day = day.UTC().Truncate(24 * time.Hour)
	page, err := read(ctx, s, "read a day", collectExplore, `
		WITH best AS MATERIALIZED (
			SELECT p.id, p.user_id, p.faves, 0 AS age FROM photos p
			WHERE NOT p.private AND (p.posted_at AT TIME ZONE 'UTC')::date = $1::date
			ORDER BY p.faves DESC, p.id DESC LIMIT 300
		), `+exploreRanking+`
		SELECT 12, 0, 0, 0, day::timestamp AT TIME ZONE 'UTC', '', '', 0, 0, 0, '', '' FROM (
			(SELECT (posted_at AT TIME ZONE 'UTC')::date AS day FROM photos
				WHERE NOT private AND (posted_at AT TIME ZONE 'UTC')::date < $1::date
				ORDER BY (posted_at AT TIME ZONE 'UTC')::date DESC LIMIT 1)
			UNION ALL
			(SELECT (posted_at AT TIME ZONE 'UTC')::date FROM photos
				WHERE NOT private AND (posted_at AT TIME ZONE 'UTC')::date > $1::date
				ORDER BY (posted_at AT TIME ZONE 'UTC')::date LIMIT 1)
		) AS d`, day)
	for _, near := range page.Days {
		if near.Before(day) {
			page.Earlier = near
		} else {
			page.Later = near
		}
	}
	page.Days = nil
	return page, err
}

func collectExplore(rows pgx.Rows) (ExplorePage, error) {
	var page ExplorePage
	var photos []photoRow
	err := eachRow(rows, page.begin, func(r *row) {
		switch r.kind {
		case kindDay:
			page.Days = append(page.Days, r.day())
		case kindPhoto:
			p := r.photo()
			photos = append(photos, p)
			page.on(p.card.Name, p.version)
		}
	})
	slices.SortFunc(photos, func(a, b photoRow) int { return int(a.place - b.place) })
	page.Photos = make([]Card, len(photos))
	for i := range photos {
		page.Photos[i] = photos[i].card
	}
	slices.SortFunc(page.Days, func(a, b time.Time) int { return b.Compare(a) })
	return page, err
}

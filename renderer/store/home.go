package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// HomePage is the newest photos of all users.
type HomePage struct {
	Snapshot
	Listing
	Popular []Card // first page only: the photos with the most faves, most first
}

// Home reads the first page of all photos, or the one before or after a photo id; at most one of the two is not 0.
func (s *Store) Home(ctx context.Context, before, after int64) (HomePage, error) {
	lower, upper := from(before, after)
	collect := func(rows pgx.Rows) (HomePage, error) { return collectHome(rows, before, after) }
	return read(ctx, s, "read home", collect, `
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', coalesce(CASE
				WHEN $2::bigint > 0 THEN (SELECT min(id) FROM photos WHERE NOT private) <= $2
				WHEN $1::bigint < $3::bigint THEN (SELECT max(id) FROM photos WHERE NOT private) >= $1
				END, false)::integer,
			0, 0, '', '' FROM epoch
		UNION ALL
		SELECT p.kind, 0, p.id, u.version, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, u.name,
			u.display_name
		FROM (
			(SELECT 3 AS kind, * FROM photos WHERE $2 = 0 AND NOT private AND id < $1 ORDER BY id DESC LIMIT 49)
			UNION ALL
			(SELECT 3, * FROM photos WHERE $2 > 0 AND NOT private AND id > $2 ORDER BY id LIMIT 49)
			UNION ALL
			(SELECT 5, * FROM photos WHERE $1 = $3 AND NOT private AND faves > 0 ORDER BY faves DESC, id DESC LIMIT 10)
		) AS p JOIN shown_users u ON u.id = p.user_id`,
		lower, upper, newest)
}

func collectHome(rows pgx.Rows, before, after int64) (HomePage, error) {
	page := HomePage{Listing: Listing{Photos: make([]Card, 0, PageSize+1)}}
	var behind bool
	begin := func(head headRow) {
		page.begin(head)
		behind = head.behind
	}
	err := eachRow(rows, begin, func(r *row) {
		switch r.kind {
		case kindPhoto:
			p := r.photo()
			page.Photos = append(page.Photos, p.card)
			page.on(p.card.Name, p.version)
		case kindPopular:
			p := r.photo()
			page.Popular = append(page.Popular, p.card)
			page.on(p.card.Name, p.version)
		}
	})
	page.Listing = listing(page.Photos, before, after, behind)
	return page, err
}

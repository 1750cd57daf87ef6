package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// TagPage is the photos that carry a tag.
type TagPage struct {
	Snapshot
	Found bool // false: no photo ever had this tag. Such an answer depends on "all" alone: give it a short age
	Listing
}

// Tag reads the first page of a tag's photos, or the page before or after a photo id; at most one of the two is not
// 0. The tag must be in the form of page.CleanTag.
func (s *Store) Tag(ctx context.Context, tag string, before, after int64) (TagPage, error) {
	lower, upper := from(before, after)
	collect := func(rows pgx.Rows) (TagPage, error) { return collectTag(rows, before, after) }
	return read(ctx, s, "read tag", collect, `
		WITH tag AS MATERIALIZED (SELECT id FROM tags WHERE name = $1)
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 10, 0, 0, 0, now(), '', '', 0, CASE
				WHEN $3::bigint > 0 THEN EXISTS (
					SELECT FROM photo_tags m JOIN photos p ON p.id = m.photo_id AND NOT p.private
						WHERE m.tag_id = tag.id AND m.photo_id <= $3)
				WHEN $2::bigint < $4::bigint THEN EXISTS (
					SELECT FROM photo_tags m JOIN photos p ON p.id = m.photo_id AND NOT p.private
						WHERE m.tag_id = tag.id AND m.photo_id >= $2)
				ELSE false END::integer,
			0, '', '' FROM tag
		UNION ALL
		SELECT 3, 0, p.id, u.version, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, u.name,
			u.display_name
		FROM tag, LATERAL (
			(SELECT o.* FROM photo_tags m JOIN photos o ON o.id = m.photo_id AND NOT o.private
				WHERE $3 = 0 AND m.tag_id = tag.id AND m.photo_id < $2 ORDER BY m.photo_id DESC LIMIT 49)
			UNION ALL
			(SELECT n.* FROM photo_tags m JOIN photos n ON n.id = m.photo_id AND NOT n.private
				WHERE $3 > 0 AND m.tag_id = tag.id AND m.photo_id > $3 ORDER BY m.photo_id LIMIT 49)
		) AS p JOIN shown_users u ON u.id = p.user_id`,
		tag, lower, upper, newest)
}

func collectTag(rows pgx.Rows, before, after int64) (TagPage, error) {
	page := TagPage{Listing: Listing{Photos: make([]Card, 0, PageSize+1)}}
	var behind bool
	err := eachRow(rows, page.begin, func(r *row) {
		switch r.kind {
		case kindTag:
			page.Found, behind = true, r.tag().behind
		case kindPhoto:
			p := r.photo()
			page.Photos = append(page.Photos, p.card)
			page.on(p.card.Name, p.version)
		}
	})
	page.Listing = listing(page.Photos, before, after, behind)
	return page, err
}

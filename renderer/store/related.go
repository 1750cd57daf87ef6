package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// RelatedTags returns up to 12 other tags of the newest public photos of a tag, the closest first: tags that many of
// these photos have and few others. The search index says how many photos have a tag in all.
func (s *Store) RelatedTags(ctx context.Context, tag string) ([]string, error) {
	collect := func(rows pgx.Rows) ([]string, error) { return pgx.CollectRows(rows, pgx.RowTo[string]) }
	return read(ctx, s, "read related tags", collect, `
		WITH tag AS MATERIALIZED (SELECT id FROM tags WHERE name = $1), newest AS MATERIALIZED (
			SELECT n.id FROM tag, LATERAL (
				SELECT p.id FROM photo_tags m JOIN photos p ON p.id = m.photo_id AND NOT p.private
					WHERE m.tag_id = tag.id ORDER BY m.photo_id DESC LIMIT 300
			) AS n
		), together AS MATERIALIZED (
			SELECT m.tag_id, count(*) AS photos FROM newest JOIN photo_tags m ON m.photo_id = newest.id
			WHERE m.tag_id <> (SELECT id FROM tag) GROUP BY m.tag_id ORDER BY count(*) DESC, m.tag_id LIMIT 100
		)
		SELECT g.name FROM together t JOIN tags g ON g.id = t.tag_id LEFT JOIN search_words w ON w.word = '#' || g.name
		ORDER BY t.photos / sqrt(greatest(w.photos, t.photos)) DESC, g.name LIMIT 12`, tag)
}

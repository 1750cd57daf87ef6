package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// TagsPage is the tags with the most photos.
type TagsPage struct {
	Snapshot
	Tags []TagCount // most photos first, at most 200
}

// TagCount is a tag with the number of public photos that carry it.
type TagCount struct {
	Name   string
	Photos int64
}

// Tags reads the tags with the most public photos. Counts are as of the last [Store.CountTags], about a second ago.
func (s *Store) Tags(ctx context.Context) (TagsPage, error) {
	return read(ctx, s, "read tags", collectTags, `
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 11, 0, c.photo_count, 0, now(), t.name, '', 0, 0, 0, '', ''
		FROM (SELECT tag_id, photo_count FROM tag_counts WHERE photo_count > 0 ORDER BY photo_count DESC, tag_id DESC
			LIMIT 200) AS c,
			LATERAL (SELECT name FROM tags WHERE id = c.tag_id LIMIT 1) AS t -- one by one: a join would read all tags`)
}

func collectTags(rows pgx.Rows) (TagsPage, error) {
	var page TagsPage
	err := eachRow(rows, page.begin, func(r *row) {
		if r.kind == kindTagCount {
			tag := r.tagCount()
			page.Tags = append(page.Tags, TagCount{tag.name, tag.photos})
		}
	})
	return page, err
}

// countBatch is how many deltas one statement adds up, in about 100 ms.
const countBatch = 10_000

// CountTags adds deltas of tag_deltas to the counts of photos of tags, at most 10,000, and returns how many; 10,000
// mean that more probably wait. Several processes may call it at once.
func (s *Store) CountTags(ctx context.Context) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, "SELECT count_tags($1)", countBatch).Scan(&n); err != nil {
		return 0, fmt.Errorf("count tags: %w", err)
	}
	return n, nil
}

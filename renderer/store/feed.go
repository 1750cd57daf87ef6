package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// FeedPage is what a user's Atom feed tells.
type FeedPage struct {
	Snapshot
	User    *User // nil: nobody has this name
	Entries []FeedEntry
}

// FeedEntry is a photo in a feed.
type FeedEntry struct {
	Card
	Description string
}

// Feed reads a user's newest FeedSize photos, newest first.
func (s *Store) Feed(ctx context.Context, name string) (FeedPage, error) {
	collect := func(rows pgx.Rows) (FeedPage, error) { return collectFeed(rows, name) }
	return read(ctx, s, "read feed", collect, `
		WITH found AS MATERIALIZED (SELECT * FROM users WHERE name = $1)
		SELECT 0, 0, 0::bigint, version, now(), '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 1, 0, 0, version, now(), '', '', 0, 0, 0, '', '' FROM tombstones WHERE scope = 'user.' || $1
		UNION ALL
		SELECT 2, 0, 0, version, created_at, '', bio, photo_count, 0, 0, name, display_name FROM found
		UNION ALL
		SELECT 3, 0, p.id, 0, p.posted_at, p.title, p.image_id, p.width, p.height, p.color, p.description, ''
		FROM found f, LATERAL (
			SELECT * FROM photos o WHERE o.user_id = f.id AND NOT o.private ORDER BY o.id DESC LIMIT 30
		) AS p`,
		name)
}

func collectFeed(rows pgx.Rows, name string) (FeedPage, error) {
	var page FeedPage
	var tombstone int64
	err := eachRow(rows, func(r *row) {
		switch r.kind {
		case rowHead:
			page.begin(r)
		case rowTombstone:
			tombstone = r.version
		case rowSubject:
			page.User = &User{Owner{r.name, r.display}, r.text, r.width, r.at}
			page.on(r.name, r.version)
		case rowPhoto:
			entry := FeedEntry{r.card(), r.name} // its name column holds the description
			entry.Owner = page.User.Owner
			page.Entries = append(page.Entries, entry)
		}
	})
	if err == nil && page.User == nil {
		page.absent("user."+name, tombstone)
	}
	return page, err
}

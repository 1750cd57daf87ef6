package store

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"flickrkillr/schema/page"
)

// FeedPage is the content of an Atom feed: the newest photos of a listing, or the last photos of an album.
type FeedPage struct {
	Snapshot
	// What the feed is of; nil where there is no such thing, and in the feeds of everybody's photos and of a tag.
	User    *User
	Album   *Album // without its number of photos
	Entries []FeedEntry
}

// FeedEntry is a photo in a feed.
type FeedEntry struct {
	Card
	Description string
	Licence     page.Licence
}

// feedHead begins the statements of feeds. Their rows have the columns of [row], a description and a licence.
const feedHead = `
		SELECT 0, 0, 0::bigint, version, ` + readAt + `, '', '', 0, 0, 0, '', '', '', '' FROM epoch`

// Feed reads a user's newest FeedSize photos, newest first.
func (s *Store) Feed(ctx context.Context, name string) (FeedPage, error) {
	return s.feed(ctx, "user."+name, `
		WITH found AS MATERIALIZED (SELECT * FROM shown_users WHERE name = $1)`+feedHead+`
		UNION ALL
		SELECT 1, 0, 0, version, now(), '', '', 0, 0, 0, '', '', '', '' FROM tombstones WHERE scope = 'user.' || $1
		UNION ALL
		SELECT 2, 0, 0, version, created_at, '', '', photo_count, 0, 0, name, display_name, bio, '' FROM found
		UNION ALL
		SELECT 3, 0, p.id, f.version, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, f.name,
			f.display_name, p.description, p.licence
		FROM found f, LATERAL (
			SELECT * FROM photos o WHERE o.user_id = f.id AND NOT o.private ORDER BY o.id DESC LIMIT 30
		) AS p`,
		name)
}

// HomeFeed reads everybody's newest FeedSize photos, newest first.
func (s *Store) HomeFeed(ctx context.Context) (FeedPage, error) {
	return s.feed(ctx, "", feedHead+`
		UNION ALL
		SELECT 3, 0, p.id, u.version, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, u.name,
			u.display_name, p.description, p.licence
		FROM (SELECT * FROM photos WHERE NOT private ORDER BY id DESC LIMIT 30) AS p
			JOIN shown_users u ON u.id = p.user_id`)
}

// TagFeed reads the newest FeedSize photos that carry a tag, newest first. There are none when nobody uses it.
func (s *Store) TagFeed(ctx context.Context, tag string) (FeedPage, error) {
	return s.feed(ctx, "", `
		WITH tag AS MATERIALIZED (SELECT id FROM tags WHERE name = $1)`+feedHead+`
		UNION ALL
		SELECT 3, 0, p.id, u.version, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, u.name,
			u.display_name, p.description, p.licence
		FROM tag, LATERAL (
			SELECT o.* FROM photo_tags m JOIN photos o ON o.id = m.photo_id AND NOT o.private
			WHERE m.tag_id = tag.id ORDER BY m.photo_id DESC LIMIT 30
		) AS p JOIN shown_users u ON u.id = p.user_id`,
		tag)
}

// AlbumFeed reads the last FeedSize photos of an album, the newest first.
func (s *Store) AlbumFeed(ctx context.Context, id int64) (FeedPage, error) {
	return s.feed(ctx, "album."+strconv.FormatInt(id, 10), `
		WITH found AS MATERIALIZED (
			SELECT a.*, u.version, u.name, u.display_name FROM shown_albums a JOIN shown_users u ON u.id = a.user_id
			WHERE a.id = $1
		)`+feedHead+`
		UNION ALL
		SELECT 1, 0, 0, version, now(), '', '', 0, 0, 0, '', '', '', '' FROM tombstones WHERE scope = 'album.' || $1::bigint
		UNION ALL
		SELECT 9, 0, id, version, created_at, title, '', 0, 0, 0, name, display_name, description,
			'' FROM found
		UNION ALL
		SELECT 3, 0, p.id, f.version, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, f.name,
			f.display_name, p.description, p.licence
		FROM found f, LATERAL (
			SELECT o.* FROM album_photos m JOIN photos o ON o.id = m.photo_id AND NOT o.private
			WHERE m.album_id = f.id ORDER BY m.position DESC LIMIT 30
		) AS p`,
		id)
}

// feed runs the statement of a feed. scope is the scope that is absent when the statement returns no user and no
// album; "" for feeds of everybody and of tags.
func (s *Store) feed(ctx context.Context, scope, sql string, args ...any) (FeedPage, error) {
	collect := func(rows pgx.Rows) (FeedPage, error) { return collectFeed(rows, scope) }
	return read(ctx, s, "read feed", collect, sql, args...)
}

func collectFeed(rows pgx.Rows, scope string) (FeedPage, error) {
	var feed FeedPage
	var tombstone int64
	var description string
	var licence page.Licence
	err := eachRow(rows, feed.begin, func(r *row) {
		switch r.kind {
		case kindTombstone:
			tombstone = r.tombstone().version
		case kindUser:
			u := r.user()
			u.user.Bio, feed.User = description, u.user
			feed.on(u.user.Name, u.version)
		case kindAlbum:
			a := r.album()
			a.album.Description, feed.Album = description, a.album
			feed.on(a.album.Name, a.version)
		case kindPhoto:
			p := r.photo()
			feed.on(p.card.Name, p.version)
			feed.Entries = append(feed.Entries, FeedEntry{p.card, description, licence})
		}
	}, &description, &licence)
	if err == nil && scope != "" && feed.User == nil && feed.Album == nil {
		feed.absent(scope, tombstone)
	}
	slices.SortStableFunc(feed.Entries, func(a, b FeedEntry) int { return b.PostedAt.Compare(a.PostedAt) })
	return feed, err
}

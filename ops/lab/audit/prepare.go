package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MaxPhotos bounds the photos of an audited user, so that all are on the first page of a listing.
const MaxPhotos = 40

// maxAlbums bounds the albums of an audited user, so that all are on the user's page.
const maxAlbums = 11

// stored is what is needed to post a deleted photo again.
type stored struct {
	image                string
	width, height, color int32
	posted               time.Time
}

// world is everything that is audited.
type world struct {
	owners []*owner
	photos map[int64]*photo
	names  map[string]*owner
	tagIDs [tagCount]int64
	ahead  time.Duration // Postgres' clock, which is the cluster's, minus this machine's
}

// choose takes over up to n users who have few enough photos, starting with those who posted last, because they are on
// the front page. It sets all their titles to markers and creates an album for users without one. From then on nobody
// else may write to them.
func choose(ctx context.Context, pool *pgxpool.Pool, n int, now func() moment) (*world, error) {
	w := &world{photos: map[int64]*photo{}, names: map[string]*owner{}}
	var clock time.Time
	if err := pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&clock); err != nil {
		return nil, fmt.Errorf("audit: read the clock: %w", err)
	}
	w.ahead = time.Until(clock)
	for i := range tagCount {
		err := pool.QueryRow(ctx, `WITH made AS (INSERT INTO tags (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id)
			SELECT id FROM made UNION ALL SELECT id FROM tags WHERE name = $1 LIMIT 1`, tagName(i)).Scan(&w.tagIDs[i])
		if err != nil {
			return nil, fmt.Errorf("audit: make a tag: %w", err)
		}
	}
	rows, err := pool.Query(ctx, `
		SELECT u.id, u.name FROM users u
		WHERE u.photo_count > 0 AND (SELECT count(*) FROM photos p WHERE p.user_id = u.id) <= $2
			AND (SELECT count(*) FROM albums a WHERE a.user_id = u.id) < $3
		ORDER BY (SELECT max(p.id) FROM photos p WHERE p.user_id = u.id) DESC LIMIT $1`, n, MaxPhotos, maxAlbums)
	if err != nil {
		return nil, fmt.Errorf("audit: choose users: %w", err)
	}
	var id int64
	var name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		w.owners = append(w.owners, newOwner(len(w.owners), id, name))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit: choose users: %w", err)
	}
	if len(w.owners) == 0 {
		return nil, fmt.Errorf("audit: no user has between 1 and %d photos", MaxPhotos)
	}
	for _, o := range w.owners {
		w.names[o.name] = o
		if err := w.takeOver(ctx, pool, o, now); err != nil {
			return nil, fmt.Errorf("audit: take over %s: %w", o.name, err)
		}
	}
	return w, nil
}

// takeOver marks the photos of one user and reads their state, in one transaction.
func (w *world) takeOver(ctx context.Context, pool *pgxpool.Pool, o *owner, now func() moment) error {
	begun := o.begin(now)
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // after a commit it does nothing
	for _, sql := range []string{
		`UPDATE photos SET title = '` + markerWord + `' || id || '.0' WHERE user_id = $1`,
		`INSERT INTO albums (user_id, title) SELECT $1, 'An album' WHERE NOT EXISTS (SELECT FROM albums WHERE user_id = $1)`,
	} {
		if _, err := tx.Exec(ctx, sql, o.id); err != nil {
			return err
		}
	}
	if err := w.readPhotos(ctx, tx, o); err != nil {
		return err
	}
	if err := w.readAlbums(ctx, tx, o); err != nil {
		return err
	}
	var version int64
	if err := tx.QueryRow(ctx, "SELECT version FROM users WHERE id = $1", o.id).Scan(&version); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	acked := now()
	for _, p := range o.photos {
		e := &event{
			photo: p, state: p.now, via: Psql, what: "taking over", version: version, after: version - 1, begun: *begun,
			acked: acked,
		}
		if p.now.public {
			e.scope = version
		}
		o.settle(begun, e)
	}
	o.known = version
	return nil
}

func (w *world) readPhotos(ctx context.Context, tx pgx.Tx, o *owner) error {
	rows, err := tx.Query(
		ctx,
		`SELECT id, NOT private, image_id, width, height, color, posted_at FROM photos WHERE user_id = $1 ORDER BY id DESC`,
		o.id,
	)
	if err != nil {
		return err
	}
	var id int64
	var public bool
	var k stored
	columns := []any{&id, &public, &k.image, &k.width, &k.height, &k.color, &k.posted}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		p := &photo{id: id, owner: o, stored: k, exists: true, now: state{public: public}}
		o.photos = append(o.photos, p)
		w.photos[id] = p
		return nil
	})
	if err != nil {
		return err
	}
	rows, err = tx.Query(
		ctx,
		`SELECT m.photo_id, m.tag_id FROM photo_tags m JOIN photos p ON p.id = m.photo_id WHERE p.user_id = $1 AND m.tag_id = ANY ($2)`,
		o.id, w.tagIDs[:],
	)
	if err != nil {
		return err
	}
	var tag int64
	_, err = pgx.ForEachRow(rows, []any{&id, &tag}, func() error {
		w.photos[id].now.tags |= 1 << slices.Index(w.tagIDs[:], tag)
		return nil
	})
	return err
}

// readAlbums reads the albums of one user. A photo that is added to an album later gets a position behind all that were
// there.
func (w *world) readAlbums(ctx context.Context, tx pgx.Tx, o *owner) error {
	rows, err := tx.Query(ctx, `SELECT a.id, coalesce(m.photo_id, 0), coalesce(m.position, 0) FROM albums a LEFT JOIN album_photos m ON m.album_id = a.id
		WHERE a.user_id = $1 ORDER BY a.id, m.position`, o.id)
	if err != nil {
		return err
	}
	var id, member int64
	var position, last int32
	_, err = pgx.ForEachRow(rows, []any{&id, &member, &position}, func() error {
		if n := len(o.albums); n == 0 || o.albums[n-1].id != id {
			o.albums = append(o.albums, album{id: id, position: map[int64]int32{}})
		}
		if member != 0 {
			n := len(o.albums) - 1
			o.albums[n].position[member] = position
			w.photos[member].now.albums |= 1 << n
			last = max(last, position)
		}
		return nil
	})
	for _, a := range o.albums {
		for i, p := range o.photos {
			if _, in := a.position[p.id]; !in {
				a.position[p.id] = last + 1 + int32(i)
			}
		}
	}
	return err
}

package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/schema/sleep"
)

// writeByPsql makes a change as a person in psql does. It is one transaction, which reads the version that it raised
// before it commits.
func (a *audit) writeByPsql(ctx context.Context, c *change) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	p := c.photo
	var b pgx.Batch
	switch c.what {
	case "posting":
		b.Queue(`INSERT INTO photos (id, user_id, posted_at, image_id, width, height, color, title) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			p.id, p.owner.id, p.stored.posted, p.stored.image, p.stored.width, p.stored.height, p.stored.color,
			markerTitle(p.id, c.next.write))
	case "publishing", "hiding":
		b.Queue(`UPDATE photos SET private = $2 WHERE id = $1`, p.id, !c.next.public)
	case "titling":
		b.Queue(`UPDATE photos SET title = $2 WHERE id = $1`, p.id, markerTitle(p.id, c.next.write))
	case "deleting":
		b.Queue(`DELETE FROM photos WHERE id = $1`, p.id)
	case "filing":
		if al := p.owner.albums[c.bit]; c.next.albums&(1<<c.bit) != 0 {
			b.Queue(
				`INSERT INTO album_photos (album_id, photo_id, user_id, position) VALUES ($1, $2, $3, $4)`, al.id, p.id,
				p.owner.id, al.position[p.id],
			)
		} else {
			b.Queue(`DELETE FROM album_photos WHERE album_id = $1 AND photo_id = $2`, al.id, p.id)
		}
	case "tagging":
		if tag := a.world.tagIDs[c.bit]; c.next.tags&(1<<c.bit) != 0 {
			b.Queue(`INSERT INTO photo_tags (photo_id, tag_id) VALUES ($1, $2)`, p.id, tag)
		} else {
			b.Queue(`DELETE FROM photo_tags WHERE photo_id = $1 AND tag_id = $2`, p.id, tag)
		}
	}
	var done outcome
	var tombstone int64
	b.Queue(`SELECT u.version, coalesce((SELECT version FROM tombstones WHERE scope = 'photo.' || $2::bigint), 0) FROM users u WHERE u.id = $1`,
		p.owner.id, p.id).QueryRow(func(row pgx.Row) error { return row.Scan(&done.version, &tombstone) })
	// A batch is one transaction, committed before Close returns.
	if err := a.cfg.Pool.SendBatch(ctx, &b).Close(); err != nil {
		return outcome{}, fmt.Errorf("%s photo %d: %w", c.what, p.id, err)
	}
	done.after, done.scope = done.version-1, done.version
	if !c.next.public {
		done.scope = tombstone
	}
	return done, nil
}

// findOutcome finds out whether a change whose answer was lost was made. It waits for a transaction that may still be
// making it, by locking the row of the photo and that of its owner. Of the version that the change raised it then knows
// only that it is above the one before. It gives up when ctx ends.
func (a *audit) findOutcome(ctx context.Context, c *change, before int64) (outcome, error) {
	for {
		done, err := a.readOutcome(ctx, c, before)
		if err == nil {
			return done, nil
		}
		if !sleep.For(ctx, 100*time.Millisecond) {
			return outcome{}, fmt.Errorf(
				"audit: %s photo %d: find the outcome: %w", c.what, c.photo.id, err,
			)
		}
	}
}

// lookTimeout bounds one try to find an outcome, as the server that was asked may have vanished, if the audit has no
// bound of its own.
const lookTimeout = 10 * time.Second

func (a *audit) readOutcome(ctx context.Context, c *change, before int64) (done outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.lookTimeout, lookTimeout))
	defer cancel()
	p := c.photo
	err = pgx.BeginFunc(ctx, a.cfg.Pool, func(tx pgx.Tx) error {
		var title string
		var private bool
		err := tx.QueryRow(
			ctx, `SELECT title, private FROM photos WHERE id = $1 FOR UPDATE`, p.id,
		).Scan(&title, &private)
		exists := !errors.Is(err, pgx.ErrNoRows)
		if err != nil && exists {
			return err
		}
		var version int64
		if err := tx.QueryRow(
			ctx, `SELECT version FROM users WHERE id = $1 FOR UPDATE`, p.owner.id,
		).Scan(&version); err != nil {
			return err
		}
		made := exists == c.exists
		if exists && c.exists {
			var tags, albums uint32
			if tags, albums, err = a.bits(ctx, tx, p); err != nil {
				return err
			}
			made = title == markerTitle(p.id, c.next.write) && private != c.next.public && tags == c.next.tags &&
				albums == c.next.albums
		}
		done = outcome{version: version, after: before, scope: before + 1, none: !made}
		return nil
	})
	return done, err
}

// bits reads which of the audit's tags the photo has, and which albums it is in.
func (a *audit) bits(ctx context.Context, tx pgx.Tx, p *photo) (tags, albums uint32, err error) {
	var tagIDs, albumIDs []int64
	err = tx.QueryRow(
		ctx,
		`SELECT array(SELECT tag_id FROM photo_tags WHERE photo_id = $1), array(SELECT album_id FROM album_photos WHERE photo_id = $1)`,
		p.id,
	).Scan(&tagIDs, &albumIDs)
	for i, id := range a.world.tagIDs {
		for _, has := range tagIDs {
			if has == id {
				tags |= 1 << i
			}
		}
	}
	return tags, p.owner.bits(albumIDs), err
}

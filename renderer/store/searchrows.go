package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/words"
)

// searchedPhoto is a photo with what is searched of it.
type searchedPhoto struct {
	words.Photo
	id, user int64
	faves    int32
	posted   time.Time
}

const searchedPhotos = `
	SELECT p.id, p.user_id, p.title, p.description, coalesce(p.camera, ''), coalesce(p.lens, ''),
		extract(year FROM coalesce(p.taken_at, p.posted_at) AT TIME ZONE 'UTC')::integer, p.width, p.height, p.faves,
			p.posted_at, u.name, u.display_name,
		(SELECT array_agg(g.name ORDER BY g.name) FROM photo_tags m JOIN tags g ON g.id = m.tag_id
			WHERE m.photo_id = p.id),
		(SELECT array_agg(b.title ORDER BY b.id) FROM album_photos m JOIN shown_albums b ON b.id = m.album_id
			WHERE m.photo_id = p.id)
	FROM photos p JOIN shown_users u ON u.id = p.user_id`

func eachSearchedPhoto(rows pgx.Rows, f func(*searchedPhoto)) error {
	var p searchedPhoto
	_, err := pgx.ForEachRow(rows, []any{&p.id, &p.user, &p.Title, &p.Description, &p.Camera, &p.Lens, &p.Year,
		&p.Width, &p.Height, &p.faves, &p.posted,
		&p.Owner, &p.Display, &p.Tags, &p.Albums}, func() error {
		p.ID, p.Faves = p.id, int(min(p.faves, words.MaxFaves))
		p.Quality = words.Quality(p.Faves, p.posted)
		f(&p)
		return nil
	})
	return err
}

// photoSearchRows are rows of photo_search, by column.
type photoSearchRows struct {
	ids, users              []int64
	faves, qualities, years []int32
	shapes, cameras, words  []string
}

func (r *photoSearchRows) add(p *searchedPhoto, vector string) {
	r.ids, r.users = append(r.ids, p.id), append(r.users, p.user)
	r.faves, r.qualities = append(r.faves, int32(p.Faves)), append(r.qualities, int32(p.Quality))
	r.years = append(r.years, int32(p.Year))
	r.shapes, r.cameras = append(r.shapes, words.Shape(p.Width, p.Height)), append(r.cameras, p.Camera)
	r.words = append(r.words, vector)
}

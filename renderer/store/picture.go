package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Picture is what a page needs to lay out and show the picture of a photo: what its address is made of (see package
// picturekey), its size in pixels, and what stands for it until it arrives. The zero Picture is none.
type Picture struct {
	PhotoID       int64
	Generation    int32
	Width, Height int32
	Color         int32
}

// picture reads the picture of a row, whose column text is "<id of the photo>.<generation>", or "" for none.
func (r *row) picture() Picture {
	id, generation, _ := strings.Cut(r.text, ".")
	photo, err := strconv.ParseInt(id, 10, 64)
	n, failed := strconv.ParseInt(generation, 10, 32)
	if err != nil || failed != nil {
		return Picture{}
	}
	return Picture{PhotoID: photo, Generation: int32(n), Width: r.number1, Height: r.number2, Color: r.number3}
}

// PictureQuery asks for the picture of a photo in a generation.
type PictureQuery struct {
	Photo      int64
	Generation int32
}

// PictureFile is what a picture is made of.
type PictureFile struct {
	Snapshot        // zero for what is not shown
	ImageID  string // in the picture store; "": no such photo is shown, or its picture has another address by now
}

// PictureFiles reads which files the pictures of photos that are shown are in, with one statement: files[i] answers
// queries[i].
func (s *Store) PictureFiles(ctx context.Context, queries []PictureQuery) ([]PictureFile, error) {
	if len(queries) == 0 {
		return nil, nil
	}
	photos, generations := make([]int64, len(queries)), make([]int32, len(queries))
	for i, q := range queries {
		photos[i], generations[i] = q.Photo, q.Generation
	}
	return read(ctx, s, "read pictures", func(rows pgx.Rows) ([]PictureFile, error) {
		files := make([]PictureFile, len(queries))
		var (
			nr, all, version int64
			file             PictureFile
			owner            string
		)
		columns := []any{&nr, &file.ReadAt, &all, &owner, &version, &file.ImageID}
		_, err := pgx.ForEachRow(rows, columns, func() error {
			file.Depends = Depends{{scopeAll, all}}
			file.on(owner, version)
			files[nr-1] = file
			return nil
		})
		return files, err
	}, `
		SELECT a.nr, `+readAt+`, e.version, u.name, u.version, p.image_id
		FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS a (id, picture, nr) CROSS JOIN epoch e
			JOIN photos p ON p.id = a.id AND p.picture = a.picture AND NOT p.private
			JOIN shown_users u ON u.id = p.user_id`,
		photos, generations)
}

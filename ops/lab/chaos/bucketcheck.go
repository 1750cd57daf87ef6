package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/schema/sleep"
)

// Pictures is what a bucket has at the end of a row, compared with the rows of the database.
type Pictures struct {
	Uploaded int      `json:"uploaded"`          // photos that were acknowledged
	Removed  int      `json:"removed"`           // of them, for good
	Lost     []string `json:"lost,omitempty"`    // photos that were acknowledged, and whose files are not what was sent
	Orphans  []string `json:"orphans,omitempty"` // objects that no row names, and rows that wait for ever
	Damaged  []string `json:"damaged,omitempty"` // objects that are not whole
	Wrong    []string `json:"wrong,omitempty"`   // answers to people who upload
}

// The wait for what a fault has left: removals rest for 45 s, uploads are swept once a minute.
const (
	settleLimit = 3 * time.Minute
	settlePause = 100 * time.Millisecond
)

// settle waits until the site has done what is left of uploads and deletions, and compares the bucket with the rows.
func (s *scene) settle(ctx context.Context) (*Pictures, error) {
	u := s.people
	found := &Pictures{Uploaded: u.made, Removed: u.removed, Wrong: u.wrong}
	pool, err := s.openPool(ctx, s.at.Postgres)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	for _, what := range []struct{ before, left string }{
		{"SELECT 1", "SELECT (SELECT count(*) FROM uploads WHERE ended_at IS NULL) + " +
			"(SELECT count(*) FROM unused_images WHERE NOT again) + (SELECT count(*) FROM unmade_pictures)"},
		// Two minutes later the site looks once more for files of what was removed.
		{"UPDATE unused_images SET due_at = now()", "SELECT count(*) FROM unused_images"},
	} {
		if _, err := pool.Exec(ctx, what.before); err != nil {
			return nil, fmt.Errorf("wait for the site: %w", err)
		}
		left, err := s.waitForNone(ctx, pool, what.left)
		if err != nil {
			return nil, err
		}
		if left > 0 {
			found.Orphans = append(found.Orphans, fmt.Sprintf("%d rows of uploads or removals wait", left))
			break
		}
	}
	if err := s.read(ctx, pool, found); err != nil {
		return nil, err
	}
	const remove = "DELETE FROM photos WHERE user_id IN (SELECT id FROM users WHERE name = ANY ($1))"
	_, err = pool.Exec(ctx, remove, u.names())
	return found, err
}

// waitForNone waits until a question is answered with 0, and nothing is staged. It returns what is left at last.
func (s *scene) waitForNone(ctx context.Context, pool *pgxpool.Pool, sql string) (left int, err error) {
	for end := time.Now().Add(settleLimit); ; {
		if err := pool.QueryRow(ctx, sql).Scan(&left); err != nil {
			return 0, fmt.Errorf("wait for the site: %w", err)
		}
		err := walkObjects(s.bucket.files(), func(name string) error {
			if strings.HasPrefix(name, "staging/") {
				left++
			}
			return nil
		})
		if err != nil || left == 0 || time.Now().After(end) || !sleep.For(ctx, settlePause) {
			return left, errors.Join(err, ctx.Err())
		}
	}
}

// pictureRow is a photo of somebody who has uploaded.
type pictureRow struct {
	Photo int64
	Image string
}

// read reads the rows, and compares the bucket with them.
func (s *scene) read(ctx context.Context, pool *pgxpool.Pool, found *Pictures) error {
	rows, err := pool.Query(ctx, "SELECT id FROM images")
	if err != nil {
		return fmt.Errorf("read the images: %w", err)
	}
	images, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read the images: %w", err)
	}
	rows, err = pool.Query(ctx, `SELECT p.id, p.image_id FROM photos p JOIN users u ON u.id = p.user_id
		WHERE u.name = ANY ($1)`, s.people.names())
	if err != nil {
		return fmt.Errorf("read the photos: %w", err)
	}
	photos, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pictureRow])
	if err != nil {
		return fmt.Errorf("read the photos: %w", err)
	}
	return found.compare(images, photos, s.people.kept, s.bucket.files())
}

// compare compares the objects of a bucket with all images, with the photos of those who uploaded, and with the files
// that they sent for photos that are kept.
func (p *Pictures) compare(images []string, photos []pictureRow, kept map[int64][]byte, bucket fs.FS) error {
	known, own, imageOf := map[string]bool{}, map[string]bool{}, map[int64]string{}
	for _, id := range images {
		known[id] = true
	}
	for _, row := range photos {
		own[row.Image], imageOf[row.Photo] = true, row.Image
	}
	err := walkObjects(bucket, func(name string) error {
		id, derivative, _ := strings.Cut(path.Base(name), ".")
		if !known[id] {
			p.Orphans = append(p.Orphans, name)
			return nil
		}
		if !own[id] || derivative == "" {
			return nil
		}
		data, err := fs.ReadFile(bucket, name)
		if !bytes.HasPrefix(data, []byte("\xff\xd8\xff")) || !bytes.HasSuffix(data, []byte("\xff\xd9")) {
			p.Damaged = append(p.Damaged, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	for number, sent := range kept {
		id := imageOf[number]
		if id == "" {
			p.Lost = append(p.Lost, fmt.Sprintf("photo %d is in no row", number))
			continue
		}
		stored, err := fs.ReadFile(bucket, id[:2]+"/"+id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			p.Lost = append(p.Lost, fmt.Sprintf("photo %d has no original", number))
		case err != nil:
			return err
		case !bytes.Equal(stored, sent):
			p.Damaged = append(p.Damaged, fmt.Sprintf("the original of photo %d", number))
		}
	}
	return nil
}

// walkObjects calls see with the name of each object of a bucket. What begins with a dot is the server's own.
func walkObjects(bucket fs.FS, see func(name string) error) error {
	return fs.WalkDir(bucket, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was removed meanwhile
			return nil
		case err != nil || name == ".":
			return err
		case d.IsDir() && d.Name()[0] == '.':
			return fs.SkipDir
		case d.IsDir() || d.Name()[0] == '.':
			return nil
		}
		return see(name)
	})
}

// checks are all that is said of pictures.
func (p *Pictures) checks() []Check {
	none := func(what string, all []string) Check {
		seen := fmt.Sprint(len(all))
		if len(all) > 0 {
			seen += ", such as: " + all[0]
		}
		return Check{What: what, Target: "0", Seen: seen, Met: len(all) == 0}
	}
	return []Check{
		{What: "uploads and deletions", Target: "some", Seen: fmt.Sprintf("%d and %d", p.Uploaded, p.Removed),
			Met: p.Uploaded > 0 && p.Removed > 0},
		none("photos lost", p.Lost), none("objects that no row names", p.Orphans),
		none("objects that are not whole", p.Damaged), none("other answers to uploads", p.Wrong),
	}
}

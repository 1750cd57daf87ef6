package renderer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestTakeoutWithoutDeletedPhoto: what a zip file says of a photo goes with the photo, and the zip file is made anew
// without it. One that never had the photo stays.
func TestTakeoutWithoutDeletedPhoto(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	ansel := st.withAccount(t, 1)
	st.start(t, nil)
	_, _, with := ansel.zip("with")
	bin := func(do string) {
		t.Helper()
		if err := wire.ErrorOf(ansel.do(wire.ActionOwnBin, do, "photos", "7", "do", do)); err != nil {
			t.Fatal(err)
		}
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnPhotos, "bin", "photos", "7", "do", "bin")); err != nil {
		t.Fatal(err)
	}
	_, _, without := ansel.zip("without")
	later := func(id, by string) {
		t.Helper()
		if n := st.scalar(t, fmt.Sprintf(`WITH t AS (UPDATE takeouts SET made_at = made_at + interval '%s'
			WHERE id = '%s' RETURNING 1) SELECT count(*) FROM t`, by, id)); n != 1 {
			t.Fatalf("%d zip files %s", n, id)
		}
	}
	later(with, "-2 hours")
	later(without, "2 minutes") // as if the photo had been in the bin for so long
	named := func() int64 {
		return st.scalar(t, `SELECT count(*) FROM takeout_parts
			WHERE position(convert_to('"Moonrise 7"', 'UTF8') IN data) > 0`)
	}
	if n := named(); n != 1 {
		t.Fatalf("%d parts name the photo, want 1", n)
	}
	bin("remove")
	if n := named(); n != 0 {
		t.Errorf("%d parts name a photo that is deleted", n)
	}
	if _, err := ansel.takeout(wire.TakeoutHead, with, 0); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("the zip file that has it: %v", err)
	}
	if _, err := ansel.takeout(wire.TakeoutHead, without, 0); err != nil {
		t.Errorf("the zip file without it: %v", err)
	}
	eventually(t, 30*time.Second, func() error {
		if n := st.scalar(t, "SELECT count(*) FROM takeouts WHERE ready_at IS NOT NULL AND photos = 99"); n != 2 {
			return fmt.Errorf("%d zip files of 99 photos are ready", n)
		}
		return nil
	})
}

// TestTakeoutOfInnerAlbums: a zip file of an album has the albums in it as folders, and each photo once. It goes with
// the album.
func TestTakeoutOfInnerAlbums(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	ansel := st.withAccount(t, 1)
	st.scalar(t, `WITH a AS (INSERT INTO albums (id, user_id, title, parent) OVERRIDING SYSTEM VALUE
			VALUES (2, 1, 'Half/Dome', 1), (3, 1, 'Another', NULL) RETURNING id)
		SELECT count(*) FROM a`)
	st.scalar(t, `WITH m AS (INSERT INTO album_photos (album_id, photo_id, user_id, position)
			VALUES (2, 5, 1, 1), (2, 70, 1, 2), (3, 71, 1, 1) RETURNING 1) SELECT count(*) FROM m`)
	st.start(t, nil)
	r, _, _ := ansel.zip("album", "album", "1")
	a := archiveOf(t, r)
	if len(a.Photos) != 61 || len(r.File) != 62 || len(a.Albums) != 2 || a.Albums[1].Parent != "1" ||
		strings.Join(a.Albums[1].Photos, " ") != "5 70" {
		t.Fatalf("%d photos, %d files, albums %+v", len(a.Photos), len(r.File), a.Albums)
	}
	if got := a.Photos[60].File; got != "photos/Half-Dome-2/Moonrise 70-70.jpg" || len(inZip(t, r, got)) == 0 {
		t.Errorf("the photo of the inner album is %s", got)
	}
	if got := a.Photos[4].File; got != "photos/Moonrise 5-5.jpg" {
		t.Errorf("the photo of both albums is %s", got)
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnAlbum, "delete", "id", "1", "do", "delete")); err != nil {
		t.Fatal(err)
	}
	if n := st.scalar(t, "SELECT count(*) FROM takeouts") + st.scalar(t, "SELECT count(*) FROM takeout_parts"); n != 0 {
		t.Errorf("of a deleted album %d rows are left", n)
	}
}

// brokenStore fails to open an original.
type brokenStore struct {
	pictures.Store
	id  string
	err error
}

var errDisk = errors.New("input/output error")

func (b brokenStore) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == b.id {
		return nil, b.err
	}
	return b.Store.Open(ctx, name)
}

// TestTakeoutOfUnreadable: originals that cannot be read, or many that are gone, are looked for again, some time. Then
// the zip file says that they are missing. One that is shorter than it was is missing at once.
func TestTakeoutOfUnreadable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql   string // what is known of the original
		open  error  // why it cannot be opened
		waits error
	}{
		"unreadable":              {"NULL::bigint, NULL::bigint", errDisk, errDisk},
		"unreadable, with sums":   {"5, 7", errDisk, errDisk},
		"all are gone":            {"5, 7", fs.ErrNotExist, errManyMissing},
		"all are gone, unchecked": {"NULL::bigint, NULL::bigint", fs.ErrNotExist, errManyMissing},
		"shorter than it was":     {"5, 1000000000", nil, nil},
		"longer than it ever was": {"5, 7", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newSite(t)
			st.withAccount(t, 1)
			st.scalar(t, fmt.Sprintf(`WITH i AS (UPDATE images SET (crc32, checked_bytes) = (SELECT %s),
				sha256 = decode(repeat('00', 32), 'hex'), extension = '.jpg' RETURNING 1) SELECT count(*) FROM i`, c.sql))
			if c.open != nil {
				st.pictures = brokenStore{st.pictures, st.image.ID, c.open}
			}
			s := st.service(t, nil)
			id := strings.Repeat("a", 26)
			st.scalar(t, fmt.Sprintf(`WITH t AS (INSERT INTO takeouts (user_id, id, title) VALUES (1, '%s', '')
				RETURNING 1) SELECT count(*) FROM t`, id))
			for try := 1; c.waits != nil && try < takeoutPatience; try++ {
				if _, err := s.prepareTakeout(t.Context()); !errors.Is(err, c.waits) {
					t.Fatalf("try %d: %v", try, err)
				}
				if more, err := s.prepareTakeout(t.Context()); more || err != nil {
					t.Fatalf("there is no pause after try %d: %v, %v", try, more, err)
				}
				st.scalar(t, `WITH t AS (UPDATE takeouts SET due_at = clock_timestamp() RETURNING 1)
					SELECT count(*) FROM t`)
			}
			if more, err := s.prepareTakeout(t.Context()); !more || err != nil {
				t.Fatalf("%v, %v", more, err)
			}
			if n := st.scalar(t, "SELECT missing FROM takeouts WHERE ready_at IS NOT NULL AND photos = 0"); n != 100 {
				t.Errorf("%d originals are missing", n)
			}
			if n := st.scalar(t, `SELECT count(*) FROM takeout_parts
				WHERE position(convert_to('Moonrise 7-7 is missing.txt', 'UTF8') IN data) > 0`); n != 1 {
				t.Errorf("%d parts say that photo 7 is missing", n)
			}
		})
	}
}

// TestTakeoutGivenUp: a zip file that cannot be prepared is tried a few times, and then its page says so.
func TestTakeoutGivenUp(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	ansel := st.withAccount(t, 1)
	st.scalar(t, fmt.Sprintf(`WITH t AS (INSERT INTO takeouts (user_id, id, title, tries) VALUES (1, '%s', '', %d)
		RETURNING 1) SELECT count(*) FROM t`, strings.Repeat("a", 26), takeoutTries))
	st.start(t, nil)
	eventually(t, 30*time.Second, func() error {
		if n := st.scalar(t, "SELECT count(*) FROM takeouts WHERE failed_at IS NOT NULL"); n != 1 {
			return errors.New("it is not given up")
		}
		return nil
	})
	view, err := ansel.ask(page.PrivateRef{Private: page.PrivateTakeout}, wire.PrivateRequest{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(texts(t, view, "li"), " "), "could not be made") {
		t.Errorf("the page says %v", texts(t, view, "li"))
	}
}

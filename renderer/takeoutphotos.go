package renderer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/takeout"
	"flickrkillr/schema/wire"
)

// takeoutFolder is a folder in a zip file of an album: that of the album, or, in it, of an album that is in it. The
// zero one has all photos of a user.
type takeoutFolder struct {
	album int64
	name  string // with a slash behind it, in takeout.Folder; "": that itself
}

// folder gives an album a folder, if the zip file is of an album.
func (m *takeoutMaker) folder(album *store.TakenAlbum) {
	switch {
	case m.takeout.Album == 0:
	case album.ID == m.takeout.Album:
		m.folders = slices.Insert(m.folders, 0, takeoutFolder{album: album.ID})
	default:
		id := strconv.FormatInt(album.ID, 10)
		m.folders = append(m.folders, takeoutFolder{album.ID, safeName(album.Title, "album") + "-" + id + "/"})
	}
}

// photos writes the photos of all folders. One that is in several is in the first of them.
func (m *takeoutMaker) photos() error {
	had := map[int64]bool{}
	first := true
	for _, folder := range m.folders {
		for after := int64(0); ; {
			rows, err := m.rows.Photos(folder.album, after)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			m.findLengths(rows)
			for i := range rows {
				row := &rows[i]
				after = row.Position
				if had[row.ID] {
					continue
				}
				if len(m.folders) > 1 {
					had[row.ID] = true
				}
				if err := m.photo(row, folder.name, first); err != nil {
					return err
				}
				first = false
			}
		}
	}
	return nil
}

// photo plans the file of a photo, and writes what photos.json says of it. Where there is no original, or another than
// it was, the zip file has a text that says so: the bytes of the plan would never come, and cut each download.
func (m *takeoutMaker) photo(row *store.TakenPhoto, folder string, first bool) error {
	missing, err := m.isMissing(row)
	if err != nil {
		return err
	}
	if missing {
		row.Checksums = nil
	}
	photo := takenPhoto(row, folder)
	modified := row.PostedAt
	if row.TakenAt != nil {
		modified = *row.TakenAt
	}
	if missing {
		text := fmt.Sprintf("The original of photo %s is not here: it is lost, damaged, or cannot be read. What is "+
			"written about it is in %s.\n", photo.ID, takeout.FileName)
		err = m.plan(wire.PlannedFile{Name: takeout.Folder + folder + takenName(row) + " is missing.txt", Text: text,
			Bytes: int64(len(text)), CRC32: crc32.ChecksumIEEE([]byte(text)), Modified: modified.Unix()})
		m.takeout.Missing++
	} else {
		err = m.plan(wire.PlannedFile{Photo: row.ID, File: row.Image, Name: photo.File, Bytes: row.Checksums.Bytes,
			CRC32: row.Checksums.CRC32, Modified: modified.Unix()})
		m.takeout.Photos++
	}
	if err != nil {
		return err
	}
	return m.line(first, photo)
}

// foundLength is the length of the file of an original, or why it cannot be told.
type foundLength struct {
	bytes int64 // -1: there is no file
	err   error
}

// findLengths looks for the originals of photos, many at once: the disk may be far away, and a transaction waits.
func (m *takeoutMaker) findLengths(rows []store.TakenPhoto) {
	found := make([]foundLength, len(rows))
	var group errgroup.Group
	group.SetLimit(takeoutLooks)
	for i := range rows {
		group.Go(func() error {
			found[i].err = contained(func() (err error) {
				found[i].bytes, err = m.length(rows[i].Image)
				return err
			})
			return nil
		})
	}
	_ = group.Wait()
	m.lengths = make(map[string]foundLength, len(rows))
	for i := range rows {
		m.lengths[rows[i].Image] = found[i]
	}
}

// errManyMissing: the files of many originals are not there, so their directory may not be.
var errManyMissing = errors.New("many originals are not there: is --pictures the right directory, and mounted?")

// isMissing reports whether the zip file has to do without the original of a photo. Its error is errUnchecked if the
// original is there and nobody has read it yet.
func (m *takeoutMaker) isMissing(row *store.TakenPhoto) (bool, error) {
	if m.unreadable[row.Image] {
		return true, nil
	}
	found := m.lengths[row.Image]
	length, err := found.bytes, found.err
	switch {
	case err != nil && m.takeout.Tries >= takeoutPatience:
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look for the original of photo %d: %w", row.ID, err)
	case length < 0 && m.takeout.Missing >= takeoutFewMissing && m.takeout.Tries < takeoutPatience:
		return false, errManyMissing
	case length < 0:
		return true, nil
	case row.Checksums == nil:
		return false, errUnchecked
	}
	return length != row.Checksums.Bytes, nil
}

// takenName is the name of a photo's file, without an extension.
func takenName(row *store.TakenPhoto) string {
	return safeName(row.Title, "photo") + "-" + strconv.FormatInt(row.ID, 10)
}

// takenPhoto is a photo in photos.json.
func takenPhoto(row *store.TakenPhoto, folder string) takeout.Photo {
	id := strconv.FormatInt(row.ID, 10)
	p := takeout.Photo{ID: id, Title: row.Title, Description: row.Description, Tags: row.Tags,
		Posted: row.PostedAt.UTC(), Visibility: visibilityOf(row.Private, row.Unlisted),
		Licence: string(row.Rights.Licence), Download: row.Rights.Downloadable}
	if row.Checksums != nil {
		p.File = takeout.Folder + folder + takenName(row) + row.Checksums.Extension
		p.SHA256, p.Bytes = hex.EncodeToString(row.Checksums.SHA256), row.Checksums.Bytes
	}
	if row.TakenAt != nil {
		taken := row.TakenAt.UTC()
		p.Taken = &taken
	}
	c := takeout.Camera(row.Camera)
	if c != (takeout.Camera{}) {
		p.Camera = &c
	}
	return p
}

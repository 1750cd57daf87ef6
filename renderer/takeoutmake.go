package renderer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"time"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/takeout"
	"flickrkillr/schema/wire"
	"flickrkillr/schema/zipfile"
)

const (
	takeoutLease = 2 * time.Minute  // for which nobody else prepares the same zip file
	takeoutTurn  = 20 * time.Second // of reading originals; then it is another zip file's turn
	takeoutLimit = time.Minute      // of a turn with what follows it

	takeoutPatience = 4 // tries, within 90 s, in which an original that cannot be read is looked for again
	takeoutTries    = 7 // tries, within an hour and a half, that may fail

	takeoutFewMissing = 10 // originals without a file, that are believed to be lost at the first try
	takeoutLooks      = 64 // originals that are looked for at once, each by a request where they are in a bucket
)

// prepareTakeout prepares a zip file that somebody has asked for, or a part of one. more reports whether it did
// something.
func (s *Service) prepareTakeout(ctx context.Context) (more bool, err error) {
	t, err := s.store.TakeTakeout(ctx, takeoutLease)
	if err != nil || t == nil {
		return false, err
	}
	if err = s.tryTakeout(ctx, t); err == nil {
		return true, nil
	}
	ctx = context.WithoutCancel(ctx) // the turn may have ended
	if t.Tries >= takeoutTries {
		return true, errors.Join(err, s.store.GiveTakeoutUp(ctx, t.ID))
	}
	return true, errors.Join(err, s.store.PostponeTakeout(ctx, t.ID, time.Second<<(2*t.Tries), t.Tries))
}

// tryTakeout prepares a zip file, or a part of one.
func (s *Service) tryTakeout(ctx context.Context, t *store.Takeout) error {
	if t.Tries > takeoutTries { // the last one ended with its renderer
		return fmt.Errorf("zip file %s of user %d: too many renderers have ended while they prepared it", t.ID, t.User)
	}
	unreadable, checked, err := s.checkOriginals(ctx, t)
	if err != nil {
		return err
	}
	if checked {
		err = s.store.WriteTakeout(ctx, t, func(w *store.TakeoutWriter) error {
			m := takeoutMaker{takeout: t, rows: w, unreadable: unreadable, length: func(image string) (int64, error) {
				return s.lengthOf(ctx, image)
			}}
			return m.make()
		})
	}
	switch {
	case errors.Is(err, store.ErrNotFound): // gone by now
		return nil
	case err == nil && !checked, errors.Is(err, errUnchecked): // a photo was uploaded meanwhile
		return s.store.PostponeTakeout(ctx, t.ID, 0, 0)
	}
	return err
}

// lengthOf is the length of the file of an original, in bytes; -1: there is none.
func (s *Service) lengthOf(ctx context.Context, image string) (int64, error) {
	file, err := pictures.OpenOriginal(ctx, s.pictures, image)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, nil
	case err != nil:
		return 0, err
	}
	return file.Size, file.Close()
}

// checkOriginals computes what zip files say of originals where it is not known. done is false when its turn has ended
// before all are: what is done is kept. It passes over originals whose files are lost, and after some tries over those
// that cannot be read, which it returns.
func (s *Service) checkOriginals(ctx context.Context, t *store.Takeout) (unreadable map[string]bool, done bool,
	err error,
) {
	began := time.Now()
	unreadable = map[string]bool{}
	for after := int64(0); ; {
		images, last, err := s.store.Unchecked(ctx, t.User, after)
		if err != nil {
			return nil, false, err
		}
		for _, image := range images {
			if time.Since(began) > takeoutTurn {
				return nil, false, nil
			}
			sums, err := checksums(ctx, s.pictures, image)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil && t.Tries >= takeoutPatience && ctx.Err() == nil:
				unreadable[image] = true
				continue
			case err == nil:
				err = s.store.NoteChecksums(ctx, image, sums)
			}
			if err != nil {
				return nil, false, err
			}
		}
		if last == 0 {
			return unreadable, true, nil
		}
		after = last
	}
}

// checksums reads an original.
func checksums(ctx context.Context, from pictures.Store, image string) (c store.Checksums, err error) {
	file, err := pictures.OpenOriginal(ctx, from, image)
	if err != nil {
		return c, err
	}
	defer file.Close()
	_, c.Extension = file.Type()
	sums, err := pictures.Sum(io.NewSectionReader(file, 0, file.Size), file.Size)
	if err != nil {
		return c, fmt.Errorf("read an original: %w", err)
	}
	c.Bytes, c.CRC32, c.SHA256 = file.Size, sums.CRC32, sums.SHA256[:]
	return c, nil
}

// checksumsOf is checksums of an original of which both are known.
func checksumsOf(sums pictures.Checksums, im *pictures.Image) *store.Checksums {
	return &store.Checksums{CRC32: sums.CRC32, SHA256: sums.SHA256[:], Bytes: im.Bytes,
		Extension: pictures.Extension(im.Format)}
}

// errUnchecked: the checksums of an original are not known.
var errUnchecked = errors.New("an original without checksums")

// takeoutMaker makes the plan of a zip file and its photos.json.
type takeoutMaker struct {
	takeout    *store.Takeout
	rows       *store.TakeoutWriter
	unreadable map[string]bool                   // originals that are left out
	length     func(image string) (int64, error) // of the file of an original; -1: there is none
	lengths    map[string]foundLength            // by image, of the photos that are being written

	folders []takeoutFolder

	files []wire.PlannedFile // of the next part
	parts []zipfile.Mark     // before each part
	end   zipfile.Mark

	json    []byte // of the next part
	jsons   int    // parts that are written
	jsonSum uint32
	jsonLen int64 // of photos.json
}

// make writes photos.json: the head, albums, and photos, which it plans on the way.
func (m *takeoutMaker) make() error {
	owner, err := m.rows.Owner()
	if err != nil {
		return err
	}
	made := m.takeout.MadeAt.UTC()
	head, err := json.Marshal(takeout.Head{Format: takeout.Format, Name: owner.Name, DisplayName: owner.DisplayName,
		Made: made})
	if err != nil {
		return err
	}
	if err := m.text(string(head[:len(head)-1]) + ",\n\"albums\": ["); err != nil {
		return err
	}
	if err := m.albums(); err != nil {
		return err
	}
	if err := m.text("],\n\"photos\": ["); err != nil {
		return err
	}
	if err := m.photos(); err != nil {
		return err
	}
	if err := m.text("]}\n"); err != nil {
		return err
	}
	if err := m.flushJSON(0); err != nil {
		return err
	}
	err = m.plan(wire.PlannedFile{Name: takeout.FileName, Bytes: m.jsonLen, CRC32: m.jsonSum, Modified: made.Unix()})
	if err != nil {
		return err
	}
	if err := m.flushPlan(); err != nil {
		return err
	}
	m.takeout.Bytes = m.end.Size()
	name := owner.Name
	if m.takeout.Album != 0 {
		name += " " + safeName(m.takeout.Title, "album "+strconv.FormatInt(m.takeout.Album, 10))
	}
	data, err := wire.TakeoutFile{Name: name + " " + made.Format(time.DateOnly) + ".zip", Bytes: m.end.Size(),
		Parts: m.parts, End: m.end}.Encode()
	if err != nil {
		return err
	}
	return m.rows.Write(store.TakeoutPlan, headPart, data)
}

// headPart is the number of the part of a plan that has its [wire.TakeoutFile].
const headPart = -1

func (m *takeoutMaker) albums() error {
	if m.takeout.Album == 0 {
		m.folders = []takeoutFolder{{}}
	}
	for after, first := int64(0), true; ; first = false {
		row, err := m.rows.Album(after)
		if err != nil || row == nil {
			return err
		}
		after = row.ID
		m.folder(row)
		album := takeout.Album{ID: strconv.FormatInt(row.ID, 10), Title: row.Title, Description: row.Description,
			Created: row.CreatedAt.UTC(), Visibility: visibilityOf(row.Private, row.Unlisted),
			Photos: make([]string, len(row.Photos))}
		if row.Parent != 0 {
			album.Parent = strconv.FormatInt(row.Parent, 10)
		}
		if row.Cover != 0 {
			album.Cover = strconv.FormatInt(row.Cover, 10)
		}
		for i, id := range row.Photos {
			album.Photos[i] = strconv.FormatInt(id, 10)
		}
		if err := m.line(first, album); err != nil {
			return err
		}
	}
}

// visibilityOf is who sees a photo or an album, as forms have it. unlisted: it is private, with a link.
func visibilityOf(private, unlisted bool) string {
	switch {
	case unlisted:
		return "unlisted"
	case private:
		return "private"
	}
	return "public"
}

// line writes an album or a photo.
func (m *takeoutMaker) line(first bool, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	before := ",\n"
	if first {
		before = "\n"
	}
	return m.text(before + string(data))
}

func (m *takeoutMaker) text(text string) error {
	m.json = append(m.json, text...)
	return m.flushJSON(wire.MaxChunk)
}

// flushJSON writes parts of photos.json while at least least bytes are left.
func (m *takeoutMaker) flushJSON(least int) error {
	for len(m.json) >= max(least, 1) {
		part := m.json[:min(len(m.json), wire.MaxChunk)]
		if err := m.rows.Write(store.TakeoutJSON, m.jsons, part); err != nil {
			return err
		}
		m.jsonSum = crc32.Update(m.jsonSum, crc32.IEEETable, part)
		m.jsonLen += int64(len(part))
		m.jsons++
		m.json = append(m.json[:0], m.json[len(part):]...)
	}
	return nil
}

// plan adds a file to the zip file.
func (m *takeoutMaker) plan(file wire.PlannedFile) error {
	if len(m.files) == wire.PlanPart {
		if err := m.flushPlan(); err != nil {
			return err
		}
	}
	if len(m.files) == 0 {
		m.parts = append(m.parts, m.end)
	}
	m.files = append(m.files, file)
	entry := file.Entry()
	m.end.Add(&entry)
	return nil
}

func (m *takeoutMaker) flushPlan() error {
	data, err := wire.PlannedFiles{Files: m.files}.Encode()
	if err != nil {
		return err
	}
	m.files = m.files[:0]
	return m.rows.Write(store.TakeoutPlan, len(m.parts)-1, data)
}

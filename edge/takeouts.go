package edge

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"sort"
	"strconv"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/download"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/schema/zipfile"
)

// Zip files of one's own photos. The edge makes one while it sends it: headers and the directory from the plan, of
// which it has 500 files in memory at a time, and the files from renderers, in chunks.

// takeout answers a request for a zip file. If it returns an error it has written nothing.
func (s *Server) takeout(w http.ResponseWriter, r *http.Request, x *exchange, id string) error {
	if !wire.ValidUpload(id) {
		return page.ErrUnknown
	}
	return s.download(w, r, x, true, func(who downloader) (sentFile, error) {
		data, done, err := s.askOriginal(r.Context(), x, wire.TakeoutSubject(wire.TakeoutHead, who.user, id), nil)
		if err != nil {
			return sentFile{}, err
		}
		defer done()
		file, err := wire.DecodeTakeout[wire.TakeoutFile](data)
		if err != nil {
			return sentFile{}, err
		}
		z := &zipMaker{s, x, who, id, file}
		return sentFile{name: file.Name, kind: "application/zip", tag: id,
			File: download.File{Size: file.Bytes, From: z.from}}, nil
	})
}

// zipMaker makes the pieces of a zip file.
type zipMaker struct {
	*Server
	x    *exchange
	who  downloader
	id   string
	file wire.TakeoutFile
}

// from yields the pieces of the zip file from a place on.
func (z *zipMaker) from(ctx context.Context, offset, _ int64) iter.Seq2[download.Piece, error] {
	return func(yield func(download.Piece, error) bool) {
		end := z.file.End
		if offset < end.Local && !z.files(ctx, offset, yield) {
			return
		}
		if offset < end.Local+end.Directory && !z.directory(ctx, max(0, offset-end.Local), yield) {
			return
		}
		tail := end.AppendEnd(nil)
		yield(download.Piece{Bytes: tail[max(0, offset-end.Local-end.Directory):]}, nil)
	}
}

// part returns the first part of the plan that what an offset counts reaches into.
func (z *zipMaker) part(offset int64, counts func(zipfile.Mark) int64) int {
	behind := sort.Search(len(z.file.Parts), func(i int) bool { return counts(z.file.Parts[i]) > offset })
	return max(0, behind-1)
}

// ask asks a renderer for a part of the zip file, while the session counts. See askOriginal.
func (z *zipMaker) ask(ctx context.Context, verb string, nr int64) (data []byte, done func(), err error) {
	if !z.who.allowed() {
		return nil, nil, errSessionEnded
	}
	return z.askOriginal(ctx, z.x, wire.TakeoutSubject(verb, z.who.user, z.id),
		nats.Header{wire.HeaderOffset: {strconv.FormatInt(nr, 10)}})
}

// planned reads a part of the plan.
func (z *zipMaker) planned(ctx context.Context, nr int) ([]wire.PlannedFile, error) {
	data, done, err := z.ask(ctx, wire.TakeoutPlan, int64(nr))
	if err != nil {
		return nil, err
	}
	defer done()
	plan, err := wire.DecodeTakeout[wire.PlannedFiles](data)
	return plan.Files, err
}

// files yields the files with their headers, from a place on. It returns false when nobody wants more.
func (z *zipMaker) files(ctx context.Context, offset int64, yield func(download.Piece, error) bool) bool {
	for nr := z.part(offset, func(m zipfile.Mark) int64 { return m.Local }); nr < len(z.file.Parts); nr++ {
		files, err := z.planned(ctx, nr)
		if err != nil {
			return yield(download.Piece{}, err) && false
		}
		mark := z.file.Parts[nr]
		for i := range files {
			entry := files[i].Entry()
			at := mark.Local
			mark.Add(&entry)
			if mark.Local <= offset {
				continue
			}
			skip := max(0, offset-at)
			if head := entry.LocalSize(); skip < head {
				if !yield(download.Piece{Bytes: entry.AppendLocal(nil)[skip:]}, nil) {
					return false
				}
				skip = head
			}
			for piece, err := range z.content(&files[i], skip-entry.LocalSize()) {
				if !yield(piece, err) {
					return false
				}
			}
		}
	}
	return true
}

// content yields the bytes of a file in the zip file, from a place on.
func (z *zipMaker) content(file *wire.PlannedFile, offset int64) iter.Seq2[download.Piece, error] {
	switch {
	case file.Text != "":
		return func(yield func(download.Piece, error) bool) {
			yield(download.Piece{Bytes: []byte(file.Text[offset:])}, nil)
		}
	case file.Photo != 0:
		return z.chunksOf(z.x, z.who, originalBytes{file.Photo, file.File}, offset, file.Bytes)
	}
	return func(yield func(download.Piece, error) bool) {
		for size := file.Bytes; offset < size; {
			nr, skip := offset/wire.MaxChunk, offset%wire.MaxChunk
			n := min(wire.MaxChunk-skip, size-offset)
			fetch := func(ctx context.Context) (data []byte, done func(), err error) {
				if data, done, err = z.ask(ctx, wire.TakeoutJSON, nr); err != nil {
					return nil, nil, err
				}
				if int64(len(data)) < skip+n {
					return nil, nil, fmt.Errorf("%w: a part of %s is short", wire.ErrInternal, file.Name)
				}
				return data[skip : skip+n], done, nil
			}
			if !yield(download.Piece{Size: int(n), Fetch: fetch}, nil) {
				return
			}
			offset += n
		}
	}
}

// directory yields the directory, from a place in it on. It returns false when nobody wants more.
func (z *zipMaker) directory(ctx context.Context, offset int64, yield func(download.Piece, error) bool) bool {
	for nr := z.part(offset, func(m zipfile.Mark) int64 { return m.Directory }); nr < len(z.file.Parts); nr++ {
		files, err := z.planned(ctx, nr)
		if err != nil {
			return yield(download.Piece{}, err) && false
		}
		mark := z.file.Parts[nr]
		begin := mark.Directory
		var b []byte
		for i := range files {
			entry := files[i].Entry()
			b = entry.AppendDirectory(b, mark.Local)
			mark.Add(&entry)
		}
		if !yield(download.Piece{Bytes: b[max(0, offset-begin):]}, nil) {
			return false
		}
	}
	return true
}

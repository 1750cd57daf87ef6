package renderer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/payload"
	"flickrkillr/schema/wire"
)

const (
	// chunkWorkers write chunks to the staging area. Each holds one.
	chunkWorkers = 4
	// chunkQueue bounds the memory of chunks that wait: 32 MiB.
	chunkQueue = 32 << 20 / wire.MaxChunk
	// uploadWorkers begin and cancel uploads, and say how far they are. They need Postgres.
	uploadWorkers = 2
	uploadQueue   = 200
	// finishWorkers make photos of uploads. Each holds a whole file, 50 MiB at most.
	finishWorkers = 2
	finishQueue   = 200
)

// A chunk is a piece of the staging area.
var _ [0]struct{} = [pictures.MaxPiece - wire.MaxChunk]struct{}{}

var _ [0]struct{} = [pictures.MaxFile - wire.MaxUpload]struct{}{}

// A chunk fits into a buffer.
var _ [0]struct{} = [payload.Most - wire.MaxChunk]struct{}{}

// fileField is the field of a [wire.InputError] about an uploaded file. Its problem is whole sentences.
const fileField = "file"

// uploadRequest reads a request about an upload, which a guest sends unless by is nil.
type uploadRequest func(u store.UploadID, by *shareVisit, m *nats.Msg) (actionFunc, error)

// uploadEndpoints lists the requests about uploads.
func uploadEndpoints(bus *nats.Conn, chunks, others, finishes *pool) []*endpoint {
	var all []*endpoint
	for _, e := range [...]struct {
		verb    string
		pool    *pool
		parse   uploadRequest
		pending int // bytes, see endpoint
	}{
		{wire.UploadCreate, others, parseCreate, 0},
		{wire.UploadChunk, chunks, chunkParser(payload.Of(bus)), pendingChunks},
		{wire.UploadState, others, parseState, 0},
		{wire.UploadFinish, finishes, parseFinish, 0},
		{wire.UploadCancel, others, parseCancel, 0},
	} {
		all = append(all, &endpoint{
			name: "upload-" + e.verb, subjects: []string{wire.UploadPattern(e.verb)}, pool: e.pool, bus: bus,
			pending: e.pending,
			parse: func(m *nats.Msg) (parsed, error) {
				_, user, id, err := wire.ParseUpload(m.Subject)
				if err != nil {
					return parsed{}, err
				}
				u := store.UploadID{User: user, ID: id}
				by, err := guestVisitOf(m)
				if err != nil {
					return parsed{}, err
				}
				run, err := e.parse(u, by, m)
				if err != nil {
					return parsed{}, err
				}
				if by != nil && e.verb != wire.UploadCreate {
					run = ofGuest(by, u, e.verb, run)
				}
				return parsed{action: &action{run: run}, limit: wire.ActionDeadline}, nil
			},
		})
	}
	return all
}

func parseCreate(u store.UploadID, by *shareVisit, m *nats.Msg) (actionFunc, error) {
	file, err := wire.DecodeUpload[wire.UploadFile](m.Data)
	switch {
	case err != nil:
		return nil, err
	case file.Bytes < 0:
		return nil, wrong(fileField, "The length of the file is negative.")
	case file.Bytes > wire.MaxUpload:
		return nil, wrong(fileField, "The file is larger than %d MiB. Export it as a JPEG of somewhat lower quality.",
			wire.MaxUpload>>20)
	case by != nil:
		return createAsGuest(by, u, file), nil
	}
	album, problem := form{"album": file.Album}.albumLabel("album")
	if problem == nil && utf8.RuneCountInString(*album) > maxTitle && !strings.Contains(*album, albumSeparator) {
		problem = wrong("album", "has more than %d characters: shorten it", maxTitle)
	}
	if problem != nil {
		return nil, wrong(fileField, "The name of the album %s.", problem.Problem)
	}
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		out, err := fromRows(ctx, d, func(ctx context.Context) (*store.Outcome, error) {
			return d.store.CreateUpload(ctx, u, store.UploadFile{Name: fileName(file.Name), Bytes: file.Bytes,
				Private: file.Private, Unlisted: file.Private && file.Unlisted, Album: *album},
				wire.MaxUpload, d.quota())
		})
		switch {
		case errors.Is(err, store.ErrTooManyBytes):
			return nil, wrong(fileField, "%s", d.tooManyBytes())
		case errors.Is(err, store.ErrTooManyPhotos):
			return nil, wrong(fileField, "%s", d.tooManyPhotos())
		case errors.Is(err, store.ErrTooManyUploads):
			return nil, wrong(fileField, "Too many of your uploads were refused or cancelled. Try again tomorrow.")
		case err != nil:
			return nil, err
		}
		if !out.Ended() {
			if err := d.albumTakes(ctx, u, *album); err != nil {
				return nil, err
			}
		}
		return d.begun(ctx, u, out)
	}, nil
}

// begun makes room for an upload that was created, unless it has ended before.
func (d *actionRun) begun(ctx context.Context, u store.UploadID, out *store.Outcome) (*outcome, error) {
	if out.Ended() {
		return &outcome{}, nil
	}
	return &outcome{}, uploadError(d.staging.Begin(ctx, pictures.Upload(u), out.Bytes))
}

// albumTakes ends an upload, with an error that says why, whose photo cannot go into an album; "" is none.
func (d *actionRun) albumTakes(ctx context.Context, u store.UploadID, album string) error {
	if album == "" {
		return nil
	}
	problem, err := fromRows(ctx, d, func(ctx context.Context) (string, error) {
		problem, err := d.store.AlbumRefuses(ctx, u.User, album)
		if err == nil && problem != "" {
			_, err = d.store.EndUpload(ctx, u, problem)
		}
		return problem, err
	})
	if err == nil && problem != "" {
		return wrong(fileField, "%s", problem)
	}
	return err
}

// chunkParser parses chunks that came by a connection with this receiver.
func chunkParser(from *payload.Receiver) uploadRequest {
	return func(u store.UploadID, _ *shareVisit, m *nats.Msg) (actionFunc, error) {
		data, done, err := from.Take(m)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", wire.ErrExpired, err)
		}
		offset, err := strconv.ParseInt(m.Header.Get(wire.HeaderOffset), 10, 64)
		if err != nil {
			return nil, wrong(wire.HeaderOffset, "is no number: say at which byte of the file the chunk begins")
		}
		return func(ctx context.Context, d *actionRun) (*outcome, error) {
			size := len(data)
			if err := d.staging.Write(ctx, pictures.Upload(u), offset, data); err != nil {
				return nil, uploadError(err)
			}
			if !d.staging.KeepsData() {
				done()
			}
			d.metrics.uploadBytes.Add(float64(size))
			return &outcome{then: func() {
				d.tellUpload(u, wire.UploadEvent{Stage: wire.UploadReceived, Offset: offset + int64(size)})
			}}, nil
		}, nil
	}
}

func parseState(u store.UploadID, _ *shareVisit, _ *nats.Msg) (actionFunc, error) {
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		out, err := d.uploadOf(ctx, u)
		if err != nil {
			return nil, err
		}
		state := statusOf(out)
		if !out.Ended() {
			// Its folder may not have been made, or have lost files in a crash of the machine.
			if err := d.staging.Begin(ctx, pictures.Upload(u), out.Bytes); err != nil {
				return nil, uploadError(err)
			}
			if state.Offset, err = d.staging.Stored(ctx, pictures.Upload(u)); err != nil {
				return nil, uploadError(err)
			}
		}
		data, err := state.Encode()
		return &outcome{data: data}, err
	}, nil
}

func parseCancel(u store.UploadID, _ *shareVisit, _ *nats.Msg) (actionFunc, error) {
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		const problem = "The upload was cancelled."
		out, err := d.endUpload(ctx, u, problem)
		if err != nil {
			return nil, err
		}
		if out.Problem == problem {
			d.metrics.uploads.WithLabelValues("cancelled").Inc()
		}
		if err := d.staging.Discard(ctx, pictures.Upload(u)); err != nil {
			return nil, uploadError(err)
		}
		data, err := statusOf(out).Encode()
		return &outcome{data: data}, err
	}, nil
}

// statusOf is the status of an upload that has ended.
func statusOf(out *store.Outcome) wire.UploadStatus {
	return wire.UploadStatus{Bytes: out.Bytes, Offset: out.Bytes, Photo: out.Photo, Duplicate: out.Duplicate,
		Problem: out.Problem}
}

func (d *actionRun) uploadOf(ctx context.Context, u store.UploadID) (*store.Outcome, error) {
	return fromRows(ctx, d, func(ctx context.Context) (*store.Outcome, error) { return d.store.UploadOf(ctx, u) })
}

func (d *actionRun) endUpload(ctx context.Context, u store.UploadID, problem string) (*store.Outcome, error) {
	return fromRows(ctx, d, func(ctx context.Context) (*store.Outcome, error) {
		return d.store.EndUpload(ctx, u, problem)
	})
}

// quota is what a person may store.
func (s *Service) quota() store.Quota {
	return store.Quota{Bytes: s.cfg.QuotaBytes, Photos: s.cfg.QuotaPhotos}
}

func (s *Service) tooManyBytes() string {
	return "Your photos and what you upload would take more than the " + byteSize(s.cfg.QuotaBytes) +
		" that you may store. Delete some photos first."
}

func (s *Service) tooManyPhotos() string {
	return fmt.Sprintf("You may have %d photos. Delete some of them first.", s.cfg.QuotaPhotos)
}

// byteSize writes a number of bytes in the largest unit in which it is whole.
func byteSize(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	for n > 0 && n%1024 == 0 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return fmt.Sprintf("%d %s", n, units[0])
}

// uploadError makes an error of the picture store one that a requester gets.
func uploadError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", wire.ErrNotFound, err)
	case errors.Is(err, pictures.ErrMissingPiece):
		return fmt.Errorf("%w: %w", wire.ErrConflict, err)
	case errors.Is(err, pictures.ErrBusy):
		return fmt.Errorf("%w: %w", wire.ErrBusy, err)
	case errors.Is(err, pictures.ErrBadPiece):
		return wrong(wire.HeaderOffset, "has no chunk of this length: send %d bytes from a multiple of that, fewer "+
			"at the end of the file only", wire.MaxChunk)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", wire.ErrFull, err)
	}
	return err
}

// tellUpload publishes an event of an upload. It may get lost.
func (s *Service) tellUpload(u store.UploadID, event wire.UploadEvent) {
	data, err := event.Encode()
	if err == nil {
		err = s.uploads.Publish(wire.UploadEventSubject(u.User, u.ID), data)
	}
	if err != nil {
		s.log.Debug("event of an upload not published", "err", err)
	}
}

// maxFileName is the length of a file's name in bytes.
const maxFileName = 255

// fileName makes what a browser says of a file's name fit for a row: without folders, and with printable characters
// only.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name)
	if name == "." || name == "/" {
		return ""
	}
	return strings.ToValidUTF8(name[:min(len(name), maxFileName)], "")
}

// photoTitle is the title of a photo: that in the file, or else the file's name without its extension.
func photoTitle(inFile, name string) string {
	title := []rune(strings.TrimSpace(inFile))
	if len(title) == 0 {
		title = []rune(strings.TrimSpace(strings.TrimSuffix(name, path.Ext(name))))
	}
	return strings.TrimSpace(string(title[:min(len(title), maxTitle)]))
}

// uploaded adds to the reply to a finish what has become of the file.
func (o *outcome) uploaded(header nats.Header) {
	if o.photo != 0 {
		header.Set(wire.HeaderPhoto, strconv.FormatInt(o.photo, 10))
	}
	if o.duplicate {
		header.Set(wire.HeaderDuplicate, "1")
	}
}

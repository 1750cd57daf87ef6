package upload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"unicode/utf8"

	"flickrkillr/schema/wire"
)

// Bounds of a form.
const (
	maxFiles     = 100
	maxFields    = 8
	maxValue     = 2 << 10  // bytes of a field that is no file
	maxPartHead  = 16 << 10 // bytes of the header fields of a part, with what is read ahead
	maxBoundary  = 70       // characters (RFC 2046)
	maxLeftovers = 4 * wire.MaxUpload
)

// Errors of forms.
var (
	errFormType  = refuse(http.StatusUnsupportedMediaType, "type", "say Content-Type: multipart/form-data")
	errForm      = badRequest("the form cannot be read")
	errFormFiles = refuse(http.StatusRequestEntityTooLarge, "too_many", "a form of more than %d files", maxFiles)
	errFormHead  = refuse(http.StatusRequestEntityTooLarge, "too_large", "a form with a part whose header is too long")
)

// Form is what became of a form.
type Form struct {
	Lines   []wire.UploadLine // one for each file, in their order
	Changed []wire.Change     // the scopes that the photos have changed
	Guest   string            // what the sender is called; ""
}

// formReader reads a form part by part.
type formReader struct {
	service *Service
	ctx     context.Context
	request *Request
	checked func(key string) error

	pace   *pacedBody
	limit  *limitedBody
	parts  *multipart.Reader
	key    string
	file   wire.UploadFile // what holds for all files
	fields int
	form   Form
}

// ReadForm takes the files of a multipart form, one after the other. The fields before them are key, which names the
// attempt and is compared with checkKey, visibility (public, unlisted or private) or private, album, and guest. A file
// that is refused does not keep the others. An error says that the form could not be read; what was taken before is in
// the Form.
func (s *Service) ReadForm(r Request, checkKey func(string) error) (Form, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || len(r.Header.Values("Content-Type")) != 1 {
		return Form{}, errFormType
	}
	if n := len(parameters["boundary"]); n == 0 || n > maxBoundary {
		return Form{}, errForm
	}
	if !s.enter(r.sender()) {
		return Form{}, errMany
	}
	defer s.leave(r.sender())
	f := &formReader{service: s, ctx: context.WithoutCancel(r.Context()), request: &r, checked: checkKey,
		pace: &pacedBody{Reader: r.Body, deadline: r.Deadline}}
	f.limit = &limitedBody{Reader: f.pace}
	f.parts = multipart.NewReader(f.limit, parameters["boundary"])
	for more := true; more && err == nil; {
		more, err = f.next()
	}
	f.pace.pause()
	return f.form, err
}

// next reads one part. It returns false at the end of the form.
func (f *formReader) next() (more bool, err error) {
	f.limit.left = maxPartHead
	part, err := f.parts.NextRawPart()
	f.limit.left = -1
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case errors.Is(err, errFormHead), errors.Is(err, errSlow):
		return false, err
	case err != nil:
		return false, fmt.Errorf("%w: %w", errForm, err)
	}
	if part.FormName() == "file" {
		return true, f.takeFile(part)
	}
	if f.fields++; f.fields > maxFields || len(f.form.Lines) > 0 {
		return false, errForm
	}
	value, err := io.ReadAll(io.LimitReader(part, maxValue+1))
	if err != nil || len(value) > maxValue {
		return false, fmt.Errorf("%w: %w", errForm, errors.Join(err, errSize))
	}
	switch part.FormName() {
	case "key":
		f.key = string(value)
		return true, f.checked(f.key)
	case "private":
		f.file.Private = f.file.Private || isTrue(string(value))
	case "visibility":
		if !see(&f.file, string(value)) {
			return false, errForm
		}
	case "album":
		if !utf8.Valid(value) {
			return false, errForm
		}
		f.file.Album = string(value)
	case "guest":
		f.file.Guest = cleanName(string(value))
		f.form.Guest = f.file.Guest
	}
	return true, nil
}

// takeFile takes one file, and adds its line to the form. It returns an error only if the rest cannot be read.
func (f *formReader) takeFile(p *multipart.Part) error {
	if err := f.checked(f.key); err != nil { // it comes before the files
		return err
	}
	if err := f.request.stillAllowed(); err != nil {
		return err
	}
	if len(f.form.Lines) == maxFiles {
		return errFormFiles
	}
	file := f.file
	file.Name, file.Type = cleanName(p.FileName()), cleanType(p.Header.Get("Content-Type"))
	photo, empty, err := f.store(p, file)
	if empty && file.Name == "" { // a field in which no file was chosen
		return nil
	}
	line := wire.UploadLine{Name: file.Name, Photo: photo.photo, Duplicate: photo.duplicate}
	if err != nil {
		line.Problem = RefusalOf(err).Problem
	}
	f.form.Lines = append(f.form.Lines, line)
	f.form.Changed = append(f.form.Changed, photo.changed...)
	if errors.Is(err, errBroken) || errors.Is(err, errSlow) {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(p, maxLeftovers))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errForm, err)
	case rest == maxLeftovers:
		return errSize
	}
	return nil
}

// store makes a photo of a file. The upload's id follows from the form's key, the place of the file in the form, and
// its beginning: a form that is sent again makes nothing twice, and another file under the same key is another upload.
func (f *formReader) store(p *multipart.Part, file wire.UploadFile) (_ done, empty bool, err error) {
	s := f.service
	f.pace.pause()
	buf, filled, err := s.bufferOf(f.ctx, f.request.sender(), true)
	if err != nil {
		return done{}, false, err
	}
	size, err := io.ReadFull(p, buf)
	var body io.Reader = p
	ended := errors.Is(err, io.ErrUnexpectedEOF) && f.partEnded(p)
	filled()
	switch {
	case errors.Is(err, io.EOF): // of an empty part
		s.buffers.put(buf)
		return done{}, true, errEmpty
	case ended:
		body = http.NoBody
	case err != nil:
		s.buffers.put(buf)
		return done{}, false, fmt.Errorf("%w: %w", errBroken, err)
	}
	beginning := sha256.Sum256(buf[:size])
	up := f.request.keyed("form", strconv.FormatInt(f.request.User, 10), f.key, strconv.Itoa(len(f.form.Lines)),
		string(beginning[:]))
	f.pace.pause()
	if err = f.request.begin(f.ctx); err == nil {
		err = s.create(f.ctx, up, f.request.announced(file))
	}
	if err != nil {
		s.buffers.put(buf)
		return done{}, false, err
	}
	stored, err := s.receive(f.ctx, up, part{body: body, pace: f.pace, end: -1, last: true,
		tail: tail{up, 0, size, buf}, sender: f.request.sender()})
	if errors.Is(err, wire.ErrNotFound) { // it was finished before, under the same key
		return s.before(f.ctx, up)
	}
	if err != nil {
		_, refused := errors.AsType[*wire.InputError](err)
		if refused || errors.Is(err, errSize) { // after other errors the form may be sent again
			_ = s.cancel(f.ctx, up) // otherwise the sweeper removes it
		}
		return done{}, false, err
	}
	if err := f.request.stillAllowed(); err != nil {
		return done{}, false, err
	}
	d, err := s.finish(f.ctx, up, stored)
	return d, false, err
}

// partEnded reports whether a part has ended, and was not broken off with the form: a part says so once more.
func (f *formReader) partEnded(p *multipart.Part) bool {
	_, err := p.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// before is what an upload has become that has ended.
func (s *Service) before(ctx context.Context, up upload) (_ done, empty bool, err error) {
	at, err := s.state(ctx, up)
	switch {
	case err != nil:
		return done{}, false, err
	case at.Problem != "":
		return done{}, false, refuse(http.StatusGone, "refused", "%s", at.Problem)
	}
	return done{photo: at.Photo, duplicate: at.Duplicate}, false, nil
}

// limitedBody bounds what may be read before a part has begun: multipart would take 10 MiB of header fields.
type limitedBody struct {
	io.Reader
	left int // bytes; negative: any number
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errFormHead
	}
	if b.left > 0 {
		p = p[:min(len(p), b.left)]
	}
	n, err := b.Reader.Read(p)
	if b.left > 0 {
		b.left -= n
	}
	return n, err
}

package upload

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

const pathFiles = page.PathUploadFiles

// What the edge says of tus.
const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,creation-defer-length,termination"
)

// Answers that say what became of an upload have one of these header fields, besides those of tus.
const (
	headerPhoto     = "Killr-Photo"     // the path of the photo's page
	headerDuplicate = "Killr-Duplicate" // "1": the person has had this photo already
)

// atOnce bounds the requests of one user that bring files to one edge at the same time.
const atOnce = 32

// buffersOfEdge is the memory for chunks of one edge: 64 MiB.
const buffersOfEdge = 64 << 20 / wire.MaxChunk

// chunksOnBus is how many chunks of one edge are on the bus or with renderers: 16 MiB. Those of four edges are as many
// as one renderer holds, and as NATS keeps for one connection before it closes it.
const chunksOnBus = 16 << 20 / wire.MaxChunk

// Config is what a [Service] needs. All fields are required.
type Config struct {
	Ask      Ask
	Received prometheus.Counter // bytes that renderers have stored
	Visitors *Visitors          // for whom uploads make way
}

// Service takes files. It is safe for concurrent use.
type Service struct {
	ask      Ask
	buffers  *buffers
	fillers  *fillers
	tails    *tails
	received prometheus.Counter
	visitors *Visitors
	onBus    chan struct{} // one for each chunk that is asked to be stored

	mu   sync.Mutex
	busy map[int64]int // requests with files, by user
}

// New returns a Service.
func New(c Config) *Service {
	b := newBuffers(buffersOfEdge)
	return &Service{ask: c.Ask, buffers: b, fillers: newFillers(), tails: newTails(b), received: c.Received,
		visitors: c.Visitors, onBus: make(chan struct{}, chunksOnBus), busy: map[int64]int{}}
}

// Answer is what is answered to a request that is not refused.
type Answer struct {
	Status  int
	JSON    any           // the body; nil: none
	Changed []wire.Change // the scopes that a new photo has changed
}

// Describe answers a question for what the edge can do, which needs no user.
func Describe(h http.Header) Answer {
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Max-Size", strconv.Itoa(wire.MaxUpload))
	return Answer{Status: http.StatusNoContent}
}

// Method is the method of a request: for clients that know only POST, that which a header field names.
func Method(r *http.Request) string {
	if other := r.Header.Get("X-HTTP-Method-Override"); r.Method == http.MethodPost && other != "" {
		return other
	}
	return r.Method
}

// Tus does what a request asks for and adds to the header h of its answer. Errors: see [RefusalOf].
func (s *Service) Tus(h http.Header, r Request) (Answer, error) {
	h.Set("Tus-Resumable", tusVersion)
	method := Method(r.Request)
	version, err := single(r.Header, "Tus-Resumable")
	if err != nil {
		return Answer{}, err
	}
	if version != tusVersion && method != http.MethodGet {
		h.Set("Tus-Version", tusVersion)
		return Answer{}, refuse(http.StatusPreconditionFailed, "version", "say Tus-Resumable: %s", tusVersion)
	}
	id, isFile := strings.CutPrefix(r.URL.EscapedPath(), r.files()+"/")
	up := r.upload(id)
	switch {
	case isFile && !wire.ValidUpload(id):
		return Answer{}, errNone
	case !isFile && method == http.MethodPost:
		return s.post(h, r)
	case isFile && method == http.MethodPatch:
		return s.patch(h, r, up)
	case isFile && (method == http.MethodHead || method == http.MethodGet):
		return s.head(h, r, up, method == http.MethodGet)
	case isFile && method == http.MethodDelete:
		return s.delete(h, r, up)
	case isFile:
		h.Set("Allow", "HEAD, GET, PATCH, DELETE, OPTIONS")
	default:
		h.Set("Allow", "POST, OPTIONS")
	}
	return Answer{}, refuse(http.StatusMethodNotAllowed, "method", "this address takes other methods")
}

// post begins an upload, and takes the beginning of the file if the request has it. With the key of an upload that is
// there, and without bytes, it says how far that is, as HEAD does.
func (s *Service) post(h http.Header, r Request) (Answer, error) {
	size, err := announced(r.Header)
	if err != nil {
		return Answer{}, err
	}
	metadata, err := single(r.Header, "Upload-Metadata")
	if err != nil {
		return Answer{}, err
	}
	file, err := fileOf(metadata)
	if err != nil {
		return Answer{}, err
	}
	withBody := r.ContentLength != 0
	if withBody && !hasOffsetType(r.Header) {
		return Answer{}, errType
	}
	if size >= 0 && r.ContentLength > size {
		return Answer{}, errLonger
	}
	up := r.upload(newID())
	key := strings.Trim(r.Header.Get("Idempotency-Key"), `"`)
	if key != "" {
		up = r.keyed("key", strconv.FormatInt(r.User, 10), key)
	}
	if !s.enter(r.sender()) {
		return Answer{}, errMany
	}
	defer s.leave(r.sender())
	ctx := context.WithoutCancel(r.Context())
	if err := r.begin(ctx); err != nil {
		return Answer{}, err
	}
	file.Bytes = max(size, 0)
	if err := s.create(ctx, up, r.announced(file)); err != nil {
		return Answer{}, err
	}
	h.Set("Location", r.files()+"/"+up.id)
	answer := Answer{Status: http.StatusCreated}
	switch {
	case withBody:
		return s.take(ctx, h, r, up, part{end: size, sender: r.sender()}, answer)
	case key != "":
		answer, err = s.head(h, r, up, false)
		answer.Status = http.StatusCreated
		return answer, err
	}
	h.Set("Upload-Offset", "0")
	return answer, nil
}

// patch takes what comes next of a file.
func (s *Service) patch(h http.Header, r Request, up upload) (Answer, error) {
	if !hasOffsetType(r.Header) {
		return Answer{}, errType
	}
	from, err := number(r.Header, "Upload-Offset")
	if err != nil || from < 0 {
		return Answer{}, badRequest("say by Upload-Offset where in the file the body begins")
	}
	length, err := number(r.Header, "Upload-Length")
	if err != nil {
		return Answer{}, err
	}
	if !s.enter(r.sender()) {
		return Answer{}, errMany
	}
	defer s.leave(r.sender())
	ctx := context.WithoutCancel(r.Context())
	at, err := s.state(ctx, up)
	if err != nil {
		return Answer{}, err
	}
	if at.Photo > 0 || at.Problem != "" {
		return s.ended(h, r, at)
	}
	if length > wire.MaxUpload {
		return Answer{}, errSize
	}
	if length >= 0 && at.Bytes == 0 && length >= at.Offset {
		if err := s.create(ctx, up, wire.UploadFile{Bytes: length}); err != nil {
			return Answer{}, err
		}
		at.Bytes = length
	}
	if length >= 0 && length != at.Bytes {
		return Answer{}, badRequest("the upload has another length")
	}
	p := part{from: from, end: at.Bytes, sender: r.sender()}
	if at.Bytes == 0 {
		p.end = -1
	}
	if p.end >= 0 && from <= p.end && r.ContentLength > p.end-from {
		return Answer{}, errLonger
	}
	if p.tail, err = s.tailAt(up, at.Offset, from); err != nil {
		h.Set("Upload-Offset", strconv.FormatInt(at.Offset+s.tails.sizeOf(up, at.Offset), 10))
		return Answer{}, err
	}
	return s.take(ctx, h, r, up, p, Answer{Status: http.StatusNoContent})
}

// tailAt returns the tail between what is stored and where a body begins; none if both are the same.
func (s *Service) tailAt(up upload, stored, from int64) (tail, error) {
	kept, ok := s.tails.remove(up)
	if ok && kept.at == stored && kept.at+int64(kept.size) == from {
		return kept, nil
	}
	if ok && kept.at == stored && from != stored {
		s.tails.keep(kept)
		return tail{}, errOffset
	}
	if ok {
		s.buffers.put(kept.buf)
	}
	if from != stored {
		return tail{}, errOffset
	}
	return tail{}, nil
}

// take receives the body of a request, and finishes the upload if that was the last of it.
func (s *Service) take(ctx context.Context, h http.Header, r Request, up upload, p part, answer Answer) (
	Answer, error,
) {
	p.pace = &pacedBody{Reader: r.Body, deadline: r.Deadline}
	p.body = p.pace
	stored, err := s.receive(ctx, up, p)
	if err != nil {
		if errors.Is(err, wire.ErrNotFound) { // it has ended meanwhile
			if at, err := s.state(ctx, up); err == nil {
				ended, err := s.ended(h, r, at)
				ended.Status = answer.Status
				return ended, err
			}
		}
		return Answer{}, err
	}
	h.Set("Upload-Offset", strconv.FormatInt(stored+s.tails.sizeOf(up, stored), 10))
	if p.end < 0 || stored < p.end {
		return answer, nil
	}
	if err := r.stillAllowed(); err != nil { // the upload stays open
		return Answer{}, err
	}
	photo, err := s.finish(ctx, up, stored)
	if err != nil {
		return Answer{}, err
	}
	photo.tell(h, r)
	answer.Changed = photo.changed
	return answer, nil
}

// tell says which photo an upload has become.
func (d done) tell(h http.Header, r Request) {
	h.Set(headerPhoto, r.photoPath(d.photo))
	if d.duplicate {
		h.Set(headerDuplicate, "1")
	}
}

// ended answers about an upload that needs no more bytes.
func (s *Service) ended(h http.Header, r Request, at wire.UploadStatus) (Answer, error) {
	switch {
	case at.Problem != "":
		return Answer{}, refuse(http.StatusGone, "refused", "%s", at.Problem)
	case at.Photo > 0:
		size := strconv.FormatInt(max(at.Bytes, at.Offset), 10)
		h.Set("Upload-Offset", size)
		h.Set("Upload-Length", size)
		done{photo: at.Photo, duplicate: at.Duplicate}.tell(h, r)
		return Answer{Status: http.StatusNoContent}, nil
	}
	return Answer{}, errOffset
}

// State is what GET of an upload answers.
type State struct {
	Offset int64  `json:"offset"`          // bytes that are stored
	Length int64  `json:"length"`          // 0: not known yet
	Photo  string `json:"photo,omitempty"` // the path of its page
}

// head says how far an upload is. One whose bytes are all there, and whose finish was not answered, is finished again:
// its sender has nothing left to send.
func (s *Service) head(h http.Header, r Request, up upload, asJSON bool) (Answer, error) {
	ctx := context.WithoutCancel(r.Context())
	at, err := s.state(ctx, up)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Status: http.StatusOK}
	offset := at.Offset + s.tails.sizeOf(up, at.Offset)
	switch {
	case at.Photo > 0 || at.Problem != "":
		if _, err := s.ended(h, r, at); err != nil {
			return Answer{}, err
		}
		offset = max(at.Bytes, at.Offset)
	case at.Bytes > 0 && at.Offset == at.Bytes:
		photo, err := s.finish(ctx, up, at.Bytes)
		if err != nil {
			return Answer{}, err
		}
		photo.tell(h, r)
		at.Photo, answer.Changed = photo.photo, photo.changed
	}
	h.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	if at.Bytes > 0 {
		h.Set("Upload-Length", strconv.FormatInt(at.Bytes, 10))
	} else if at.Photo == 0 {
		h.Set("Upload-Defer-Length", "1")
	}
	if asJSON {
		state := State{Offset: offset, Length: at.Bytes}
		if at.Photo > 0 {
			state.Photo = r.photoPath(at.Photo)
		}
		answer.JSON = state
	}
	return answer, nil
}

// delete ends an upload. If it has become a photo before, the answer says so.
func (s *Service) delete(h http.Header, r Request, up upload) (Answer, error) {
	ctx := context.WithoutCancel(r.Context())
	if err := s.cancel(ctx, up); err != nil {
		return Answer{}, err
	}
	switch at, err := s.state(ctx, up); {
	case errors.Is(err, wire.ErrNotFound): // it never began, or is forgotten
	case err != nil:
		return Answer{}, err
	case at.Photo > 0:
		return s.ended(h, r, at)
	}
	return Answer{Status: http.StatusNoContent}, nil
}

// enter counts a request that brings a file. false: the sender has too many.
func (s *Service) enter(user int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[user] >= atOnce {
		return false
	}
	s.busy[user]++
	return true
}

func (s *Service) leave(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[user]--; s.busy[user] == 0 {
		delete(s.busy, user)
	}
}

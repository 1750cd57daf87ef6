package testenv

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// Uploads answers requests about uploads as renderers do, and keeps what they bring in memory. It takes every file for
// a picture, unless it begins with BadFile. Its zero value is of no use, see [NewUploads].
type Uploads struct {
	t  testing.TB
	nc *nats.Conn

	mu     sync.Mutex
	all    map[string]*storedUpload // by id
	photos map[string]int64         // by user and content
	files  map[int64][]byte         // by photo
	asked  map[string]int           // requests, by verb
	bytes  int64                    // that chunks have brought, repetitions included
	before func(verb string, m *nats.Msg) error
}

type storedUpload struct {
	user   int64
	file   wire.UploadFile
	chunks map[int64][]byte
	done   *wire.UploadStatus
}

// BadFile begins files that are refused.
const BadFile = "no picture"

const badFileProblem = "This is no picture. Choose a JPEG."

// ErrSilent, returned by the function of [Uploads.Before], has a request get no answer.
var ErrSilent = errors.New("no answer")

// NewUploads begins to answer on the bus at url.
func NewUploads(t testing.TB, url string) *Uploads {
	t.Helper()
	u := &Uploads{t: t, nc: ConnectAs(t, url, wire.RoleRenderer), all: map[string]*storedUpload{},
		photos: map[string]int64{}, files: map[int64][]byte{}, asked: map[string]int{}}
	for _, subject := range wire.UploadRequests() {
		// A goroutine for each request: one that waits keeps no other.
		_, err := u.nc.QueueSubscribe(subject, wire.QueueRenderer, func(m *nats.Msg) { go u.answer(m) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := u.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return u
}

// Before has f called before each request, in the request's own goroutine. An error is the answer.
func (u *Uploads) Before(f func(verb string, m *nats.Msg) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.before = f
}

// Asked is how many requests of a verb there were.
func (u *Uploads) Asked(verb string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[verb]
}

// Bytes is how many bytes chunks have brought.
func (u *Uploads) Bytes() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes
}

// Photo returns the file of a photo; nil: there is none.
func (u *Uploads) Photo(id int64) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.files[id]
}

// Photos is how many photos there are.
func (u *Uploads) Photos() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.files)
}

// File returns what is known of a file before its bytes; false: there is no such upload.
func (u *Uploads) File(id string) (wire.UploadFile, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if one := u.all[id]; one != nil {
		return one.file, true
	}
	return wire.UploadFile{}, false
}

// Tell publishes an event of an upload.
func (u *Uploads) Tell(user int64, id string, event wire.UploadEvent) {
	u.t.Helper()
	data, err := event.Encode()
	if err == nil {
		err = u.nc.Publish(wire.UploadEventSubject(user, id), data)
	}
	if err != nil {
		u.t.Error(err)
	}
}

func (u *Uploads) answer(m *nats.Msg) {
	verb, user, id, err := wire.ParseUpload(m.Subject)
	u.mu.Lock()
	u.asked[verb]++
	before := u.before
	u.mu.Unlock()
	if err == nil && before != nil {
		err = before(verb, m)
	}
	if errors.Is(err, ErrSilent) {
		return
	}
	reply := nats.NewMsg(m.Reply)
	if err == nil {
		u.mu.Lock()
		reply.Data, err = u.do(verb, user, id, m, reply.Header)
		u.mu.Unlock()
	}
	if err != nil {
		reply = wire.ErrorMsg(m.Reply, err)
	}
	_ = u.nc.PublishMsg(reply) // a test may have ended
}

// do does what a request asks for. The lock is held.
func (u *Uploads) do(verb string, user int64, id string, m *nats.Msg, h nats.Header) ([]byte, error) {
	one := u.all[id]
	if verb == wire.UploadCreate {
		file, err := wire.DecodeUpload[wire.UploadFile](m.Data)
		switch {
		case err != nil:
			return nil, err
		case one == nil:
			u.all[id] = &storedUpload{user: user, file: file, chunks: map[int64][]byte{}}
		case one.file.Bytes == 0:
			one.file.Bytes = file.Bytes
		}
		return nil, nil
	}
	if one == nil || one.user != user {
		if verb == wire.UploadCancel {
			return nil, nil
		}
		return nil, wire.ErrNotFound
	}
	switch verb {
	case wire.UploadChunk:
		return nil, u.chunk(one, m)
	case wire.UploadState:
		status := wire.UploadStatus{Bytes: one.file.Bytes, Offset: int64(len(one.content()))}
		if one.done != nil {
			status = *one.done
		}
		return status.Encode()
	case wire.UploadFinish:
		return u.finish(one, m.Data, h)
	}
	if one.done != nil { // which cancelling does not change
		return one.done.Encode()
	}
	delete(u.all, id)
	return wire.UploadStatus{Bytes: one.file.Bytes, Problem: "The upload was cancelled."}.Encode()
}

func (u *Uploads) chunk(one *storedUpload, m *nats.Msg) error {
	at, err := strconv.ParseInt(m.Header.Get(wire.HeaderOffset), 10, 64)
	if err != nil || at < 0 || at%wire.MaxChunk != 0 || len(m.Data) == 0 || len(m.Data) > wire.MaxChunk {
		u.t.Errorf("a chunk of %d bytes at %q", len(m.Data), m.Header.Get(wire.HeaderOffset))
		return wire.ErrBadRequest
	}
	if one.done != nil {
		return wire.ErrNotFound
	}
	u.bytes += int64(len(m.Data))
	one.chunks[at] = bytes.Clone(m.Data)
	return nil
}

// content is what is stored from the beginning on.
func (one *storedUpload) content() (all []byte) {
	for {
		chunk := one.chunks[int64(len(all))]
		all = append(all, chunk...)
		if len(chunk) < wire.MaxChunk {
			return all
		}
	}
}

func (u *Uploads) finish(one *storedUpload, data []byte, h nats.Header) ([]byte, error) {
	size, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return nil, wire.ErrBadRequest
	}
	content := one.content()
	if one.done == nil && int64(len(content)) != size {
		return nil, wire.ErrConflict
	}
	if one.done == nil && bytes.HasPrefix(content, []byte(BadFile)) {
		one.done = &wire.UploadStatus{Bytes: size, Offset: size, Problem: badFileProblem}
	}
	if one.done == nil {
		sum := sha256.Sum256(content)
		key := strconv.FormatInt(one.user, 10) + string(sum[:])
		if u.photos[key] != 0 {
			h.Set(wire.HeaderDuplicate, "1")
		} else {
			u.photos[key] = int64(len(u.photos) + 1)
			u.files[u.photos[key]] = content
		}
		one.done = &wire.UploadStatus{Bytes: size, Offset: size, Photo: u.photos[key],
			Duplicate: h.Get(wire.HeaderDuplicate) != ""}
	}
	if one.done.Problem != "" {
		return nil, &wire.InputError{Field: "file", Problem: badFileProblem}
	}
	h.Set(wire.HeaderPhoto, strconv.FormatInt(one.done.Photo, 10))
	changes := []wire.Change{{Scope: "user.ansel", Version: 7}, {Scope: wire.ScopeAll, Version: 7}}
	return wire.EncodeChanges(changes), nil
}

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// newUploadSite starts edges, renderers and one cachefill as processes, on an empty database and picture store.
func newUploadSite(t testing.TB, edges, renderers int) *site {
	t.Helper()
	return newSiteOn(t, testenv.DatabaseURL(t), t.TempDir(), edges, renderers)
}

// signUp returns a new person of the site.
func (s *site) signUp(name string) *person {
	s.t.Helper()
	p := (&peopleSite{t: s.t, urls: s.urls, pool: s.pool, nc: s.nc, pictures: s.pictures}).person(name)
	p.signUp(0)
	return p
}

// userID is the number of a user.
func (s *site) userID(name string) int64 {
	s.t.Helper()
	return column[int64](s, "SELECT id FROM users WHERE name = $1", name)[0]
}

// paddedPicture is a JPEG of size bytes that is unlike those of other numbers. Few of its bytes are pixels, so it costs
// little to make and to decode; the others are comments.
func paddedPicture(small []byte, size int, number uint64) []byte {
	const marker, most = "\xff\xfe", 65_535 // the length of a comment counts its own two bytes
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], number)
	random := rand.NewChaCha8(seed)
	file := bytes.NewBuffer(make([]byte, 0, size))
	file.Write(small[:2])
	for left := size - len(small); left > 4; {
		n := min(left-2, most)
		file.WriteString(marker)
		file.Write(binary.BigEndian.AppendUint16(nil, uint16(n)))
		_, _ = io.CopyN(file, random, int64(n-2)) // neither fails
		left -= n + 2
	}
	file.Write(small[2:])
	return file.Bytes()
}

// sentFile is a file that a sender uploads.
type sentFile struct {
	name  string
	data  []byte
	file  string // on the disk, instead of data; without cuts
	size  int    // of file
	first int    // the number of the edge at which it begins

	mu   sync.Mutex
	cuts []int // the body waits at these offsets, the smallest first

	whenSent func() // called when the connection has taken the last byte; may be nil

	key       string // names the attempt
	path      string // of the upload; "": not begun
	tries     int
	photo     string // the path of its page, once that was acknowledged
	duplicate bool
	sum       [sha256.Size]byte // of data, once it is acknowledged
}

// sender uploads files as the page's script does: after an error it asks how far the upload is, and goes on from there.
// It does so at the next edge, as behind a balancer.
type sender struct {
	client *http.Client
	urls   []string
	wait   func(context.Context) // at the cuts of a file
	sent   atomic.Int64          // bytes of files that connections have taken, again or not
	broken atomic.Int64          // requests without an answer
}

// senderLimit bounds the upload of one file, whatever is killed meanwhile.
const senderLimit = 2 * time.Minute

func newSender(t testing.TB, p *person, urls []string) *sender {
	client := newClient(t, 64)
	client.Jar = p.client.Jar
	client.Timeout = senderLimit
	return &sender{client: client, urls: urls}
}

// errFinal is an answer that no repetition changes.
type errFinal struct{ error }

// upload uploads a file. It returns nil when a photo was acknowledged.
func (s *sender) upload(ctx context.Context, f *sentFile) error {
	ctx, cancel := context.WithTimeout(ctx, senderLimit)
	defer cancel()
	for ; ; f.tries++ {
		err := s.try(ctx, s.urls[(f.first+f.tries)%len(s.urls)], f)
		if err == nil {
			if f.file == "" {
				f.sum = sha256.Sum256(f.data)
			}
			return nil
		}
		if _, final := errors.AsType[errFinal](err); final || !sleep.For(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%s (%s), try %d: %w", f.name, f.path, f.tries, err)
		}
	}
}

// giveUp uploads a file up to its cut, and cancels the upload there.
func (s *sender) giveUp(ctx context.Context, f *sentFile) error {
	part, end := context.WithCancel(ctx)
	defer end()
	one := &sender{client: s.client, urls: s.urls, wait: func(context.Context) { end() }}
	if err := one.upload(part, f); err == nil || part.Err() == nil {
		return fmt.Errorf("%s was to be given up: %w", f.name, err)
	}
	for n := 0; ; n++ {
		_, err := s.send(ctx, http.MethodDelete, s.urls[n%len(s.urls)]+f.path, http.NoBody, 0)
		if err == nil {
			return nil
		}
		if _, final := errors.AsType[errFinal](err); final || !sleep.For(ctx, 20*time.Millisecond) {
			return fmt.Errorf("cancel %s: %w", f.path, err)
		}
	}
}

// try sends what a site does not have yet.
func (s *sender) try(ctx context.Context, url string, f *sentFile) error {
	offset := 0
	if f.path == "" {
		metadata := "filename " + base64.StdEncoding.EncodeToString([]byte(f.name))
		h, err := s.send(ctx, http.MethodPost, url+page.PathUploadFiles, http.NoBody, 0, "Idempotency-Key", f.key,
			"Upload-Length", strconv.Itoa(f.length()), "Upload-Metadata", metadata)
		if err != nil {
			return err
		}
		f.path = h.Get("Location")
	} else {
		h, err := s.send(ctx, http.MethodHead, url+f.path, http.NoBody, 0)
		if err != nil || f.acknowledged(h) {
			return err
		}
		if offset, err = strconv.Atoi(h.Get("Upload-Offset")); err != nil || offset > f.length() {
			return errFinal{fmt.Errorf("an offset of %q", h.Get("Upload-Offset"))}
		}
	}
	body, err := s.bodyFrom(ctx, f, offset)
	if err != nil {
		return errFinal{err}
	}
	h, err := s.send(ctx, http.MethodPatch, url+f.path, body, int64(f.length()-offset),
		"Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(offset))
	if err == nil && !f.acknowledged(h) {
		err = errors.New("no photo")
	}
	return err
}

func (f *sentFile) length() int {
	if f.file != "" {
		return f.size
	}
	return len(f.data)
}

// bodyFrom is a file from an offset on. The kernel sends one that is on the disk, as it does for browsers.
func (s *sender) bodyFrom(ctx context.Context, f *sentFile, offset int) (io.ReadCloser, error) {
	if f.file == "" {
		return &sentBody{ctx: ctx, sender: s, file: f, at: offset}, nil
	}
	file, err := os.Open(f.file)
	if err == nil {
		_, err = file.Seek(int64(offset), io.SeekStart)
	}
	return file, err
}

// acknowledged notes the photo that an answer names.
func (f *sentFile) acknowledged(h http.Header) bool {
	f.photo, f.duplicate = h.Get("Killr-Photo"), h.Get("Killr-Duplicate") != ""
	return f.photo != ""
}

// send makes a request of tus. An answer that may be another one later is an error, one that may not is errFinal.
func (s *sender) send(
	ctx context.Context, method, url string, body io.Reader, length int64, fields ...string,
) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, errFinal{err}
	}
	r.ContentLength = length
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.broken.Add(1)
		return nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	switch status := answer.StatusCode; {
	case err != nil:
		return nil, err
	case status < 300:
		return answer.Header, nil
	case status == http.StatusConflict, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests,
		status >= 500:
		return nil, fmt.Errorf("%s: %d: %s", method, status, said)
	default:
		return nil, errFinal{fmt.Errorf("%s: %d: %s", method, status, said)}
	}
}

// nextCut is where the body must wait next, or else the end of the file. One at or before that offset is taken: the
// body has to wait there.
func (f *sentFile) nextCut(at int) (end int, waits bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cuts) == 0 {
		return len(f.data), false
	}
	if end = f.cuts[0]; at < end {
		return end, false
	}
	f.cuts = f.cuts[1:]
	return end, true
}

// sentBody is a file from an offset on. A request that has failed may read on for a while, beside the next one.
type sentBody struct {
	ctx    context.Context
	sender *sender
	file   *sentFile
	at     int
	closed atomic.Bool
}

func (b *sentBody) Read(p []byte) (int, error) {
	if b.at == len(b.file.data) {
		return 0, io.EOF
	}
	end, waits := b.file.nextCut(b.at)
	if waits {
		b.sender.wait(b.ctx)
		return 0, b.ctx.Err()
	}
	if b.closed.Load() {
		return 0, errors.New("the request has ended")
	}
	n := copy(p, b.file.data[b.at:end])
	b.at += n
	b.sender.sent.Add(int64(n))
	if b.at == len(b.file.data) && b.file.whenSent != nil {
		b.file.whenSent()
	}
	return n, nil
}

func (b *sentBody) Close() error {
	b.closed.Store(true)
	return nil
}

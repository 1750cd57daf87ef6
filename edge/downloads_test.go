package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/payload"
	"flickrkillr/schema/wire"
)

// originals answers requests for originals as renderers do: photo 7 of user 7, which others get without its first byte.
type originals struct {
	mu   sync.Mutex
	data []byte
	gone bool // after the first chunk
	file string
	sent int    // bytes that edges asked for
	late []byte // sent once in place of a chunk, unless it is nil
}

func (o *originals) serve(t *testing.T, url string) {
	t.Helper()
	nc := testenv.ConnectAs(t, url, wire.RoleRenderer)
	for _, subject := range wire.OriginalRequests() {
		if _, err := nc.QueueSubscribe(subject, wire.QueueRenderer, func(m *nats.Msg) {
			data, err := o.answer(m)
			reply := &nats.Msg{Subject: m.Reply, Data: data}
			if err != nil {
				reply = wire.ErrorMsg(m.Reply, err)
			}
			_ = nc.PublishMsg(reply) // the edge asks again
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func (o *originals) answer(m *nats.Msg) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	verb, user, photo, err := wire.ParseOriginal(m.Subject)
	if err != nil || photo != 7 || user != 0 && user != 7 {
		return nil, errors.Join(err, wire.ErrNotFound)
	}
	data, file := o.data, o.file
	if user == 0 {
		data, file = data[1:], file+"-shared"
	}
	if verb == wire.OriginalHead {
		return wire.OriginalFile{File: file, Name: "Zürich \"100%\".jpg", Type: "image/jpeg",
			Bytes: int64(len(data))}.Encode()
	}
	at, err := strconv.Atoi(m.Header.Get(wire.HeaderOffset))
	if err != nil || m.Header.Get(wire.HeaderFile) != file {
		return nil, errors.Join(err, wire.ErrConflict)
	}
	if o.gone && at > 0 {
		return nil, wire.ErrNotFound
	}
	length, err := strconv.Atoi(m.Header.Get(wire.HeaderLength))
	if err != nil || length > wire.MaxChunk {
		return nil, errors.Join(err, wire.ErrBadRequest)
	}
	o.sent += length
	if late := o.late; late != nil {
		o.late = nil
		return late, nil
	}
	return data[at:min(len(data), at+length)], nil
}

// TestOriginals: a visitor gets an original, whole and in parts, and its owner gets every byte.
func TestOriginals(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	data := make([]byte, 3*wire.MaxChunk+1234)
	for i := range data {
		data[i] = byte(i>>16 ^ i)
	}
	store := &originals{data: data, file: "abc"}
	store.serve(t, s.server.URL())
	const shared, own = "/photo/7/original", "/me/photos/7/original"
	e := s.edges[0]

	whole := s.request(e, http.MethodGet, own, nil)
	if whole.status != http.StatusOK || whole.body != string(data) || whole.header.Get("Etag") != `"abc"` ||
		whole.header.Get("Content-Type") != "image/jpeg" || whole.header.Get("Cache-Control") != "private, no-store" ||
		whole.header.Get("Content-Length") != strconv.Itoa(len(data)) {
		t.Fatalf("%d, %d bytes, %v", whole.status, len(whole.body), whole.header)
	}
	if got := whole.header.Get("Content-Disposition"); got !=
		`attachment; filename="Z_rich _100__.jpg"; filename*=UTF-8''Z%C3%BCrich%20%22100%25%22.jpg` {
		t.Errorf("it is called %s", got)
	}
	if _, parameters, err := mime.ParseMediaType(whole.header.Get("Content-Disposition")); err != nil ||
		parameters["filename"] == "" {
		t.Errorf("%v, %v", parameters, err)
	}
	if got := get(t, e, shared); got.status != http.StatusOK || got.body != string(data[1:]) ||
		got.header.Get("Etag") != `"abc-shared"` {
		t.Errorf("for others: %d, %d bytes, %v", got.status, len(got.body), got.header)
	}
	if got := do(t, http.MethodHead, e, shared); got.status != http.StatusOK ||
		got.header.Get("Content-Length") != strconv.Itoa(len(data)-1) || got.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: %d, %v", got.status, got.header)
	}

	end := len(data) - 1
	for _, c := range []struct {
		ranges, ifRange string
		status          int
		from, to        int // the last byte is not part of it
	}{
		{"bytes=0-0", "", 206, 0, 1},
		{fmt.Sprintf("bytes=%d-%d", wire.MaxChunk-1, 2*wire.MaxChunk), "", 206, wire.MaxChunk - 1, 2*wire.MaxChunk + 1},
		{"bytes=-5", "", 206, end - 4, end + 1},
		{fmt.Sprintf("bytes=%d-", end-9), `"abc"`, 206, end - 9, end + 1},
		{fmt.Sprintf("bytes=%d-", end-9), `"old"`, 200, 0, end + 1},
		{fmt.Sprintf("bytes=%d-", end+1), "", 416, 0, 0},
		{"bytes=x", "", 416, 0, 0},
		{"lines=1-2", "", 416, 0, 0},
	} {
		got := s.request(e, http.MethodGet, own, nil, "Range", c.ranges, "If-Range", c.ifRange)
		if got.status != c.status || c.status != 416 && got.body != string(data[c.from:c.to]) {
			t.Errorf("%s, %s: %d, %d bytes", c.ranges, c.ifRange, got.status, len(got.body))
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, len(data)); c.status == 206 &&
			got.header.Get("Content-Range") != want {
			t.Errorf("%s: %s, want %s", c.ranges, got.header.Get("Content-Range"), want)
		}
	}
	store.mu.Lock()
	store.sent = 0
	store.mu.Unlock()
	if got := s.request(e, http.MethodGet, own, nil, "Range", "bytes=5-5"); got.body != string(data[5:6]) {
		t.Errorf("a byte: %q", got.body)
	}
	store.mu.Lock()
	if store.sent != 1 {
		t.Errorf("for one byte %d were fetched", store.sent)
	}
	store.mu.Unlock()
	several := s.request(e, http.MethodGet, own, nil, "Range", fmt.Sprintf("bytes=0-9,%d-%d", end-9, end))
	if several.status != http.StatusOK || several.body != string(data) {
		t.Errorf("two ranges: %d, %d bytes", several.status, len(several.body))
	}
	if got := s.request(e, http.MethodGet, own, nil, "If-None-Match", `"abc"`); got.status != http.StatusNotModified {
		t.Errorf("a file that the visitor has: %d", got.status)
	}
	for path, want := range map[string]int{"/photo/8/original": 404, "/photo/07/original": 404,
		"/me/photos/8/original": 404, "/photo/x/original": 404} {
		if got := s.request(e, http.MethodGet, path, nil); got.status != want {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := s.request(e, http.MethodGet, own, nil, "Cookie", ""); got.status != http.StatusSeeOther ||
		got.header.Get("Location") != "/signin?next=%2Fme%2Fphotos%2F7%2Foriginal" {
		t.Errorf("without a session: %d, %v", got.status, got.header)
	}
	if got := s.request(e, http.MethodGet, own, nil, "Cookie", s.signInAs(8, "dorothea")); got.status != 404 {
		t.Errorf("somebody else: %d", got.status)
	}
	if got := s.request(e, http.MethodPost, shared, strings.NewReader("")); got.status != 405 ||
		got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, %v", got.status, got.header)
	}
	if got := s.request(e, http.MethodGet, own, nil, "Cookie", "", "Authorization", "Bearer nonsense"); got.status !=
		401 || !strings.Contains(got.body, "invalid_token") {
		t.Errorf("a wrong token: %d %s", got.status, got.body)
	}
}

// TestOriginalTakenLate: a chunk whose bytes were dropped before the edge took them is asked for again.
func TestOriginalTakenLate(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	data := bytes.Repeat([]byte("0123456789"), wire.MaxChunk/10)
	nc := testenv.ConnectForFiles(t, s.server.URL(), wire.RoleEdge)
	tickets, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := testenv.ConnectAs(t, s.server.URL(), wire.RoleRenderer).Publish(tickets.Subject, data); err != nil {
		t.Fatal(err)
	}
	ticket, err := tickets.NextMsg(30 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := payload.Of(nc).Take(ticket); err != nil || len(ticket.Data) == len(data) {
		t.Fatalf("no ticket came: %d bytes, %v", len(ticket.Data), err)
	}
	store := &originals{data: data, file: "abc", late: ticket.Data}
	store.serve(t, s.server.URL())
	e := s.edge(func(c *Config) { c.Uploads = nc })
	if got := s.request(e, http.MethodGet, "/me/photos/7/original", nil); got.body != string(data) {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
}

// TestOriginalGone: a photo that is deleted, or shows another original, while it is downloaded ends the download: what
// has come is true, and the client hears that something is missing.
func TestOriginalGone(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	data := bytes.Repeat([]byte("0123456789"), wire.MaxChunk)
	store := &originals{data: data, gone: true, file: "abc"}
	store.serve(t, s.server.URL())
	got, err := s.try(s.edges[0], http.MethodGet, "/me/photos/7/original", nil)
	if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client hears %v", err)
	}
	if len(got.body) >= len(data) || !strings.HasPrefix(string(data), got.body) {
		t.Errorf("%d bytes came", len(got.body))
	}
}

// TestOriginalEndsWithSession: a session that is ended downloads nothing more.
func TestOriginalEndsWithSession(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	data := bytes.Repeat([]byte("0123456789"), 40*wire.MaxChunk/10)
	store := &originals{data: data, file: "abc"}
	store.serve(t, s.server.URL())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.edges[0].Addr()+
		"/me/photos/7/original", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", s.cookie)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := s.edges[0].sessions.EndAll(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= int64(len(data)) {
		t.Errorf("%d bytes came afterwards, %v", n, err)
	}
}

// TestOriginalEndsWithEdge: an edge that stops ends downloads at once, whose clients go on at another edge; one whose
// client does not read, too.
func TestOriginalEndsWithEdge(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	data := bytes.Repeat([]byte("0123456789"), 40*wire.MaxChunk/10)
	store := &originals{data: data, file: "abc"}
	store.serve(t, s.server.URL())
	e, err := New(Config{Addr: "127.0.0.1:0", NATS: s.signIn(), Logger: s.log()})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(running) }()
	eventually(t, "the edge is ready", func() bool { return e.Ready() == nil })
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.Addr()+"/photo/7/original", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil { // the download, whose client reads nothing, must not keep it
		t.Errorf("the edge does not stop: %v", err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= int64(len(data)) {
		t.Errorf("%d bytes came afterwards, %v", n, err)
	}
}

// TestOthersLeaveOwnersSlots: downloads of others, however many, leave owners theirs.
func TestOthersLeaveOwnersSlots(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	store := &originals{data: []byte("original"), file: "abc"}
	store.serve(t, s.server.URL())
	e := s.edges[0]
	for range mostDownloads {
		if _, release, ok := e.slots.Take(t.Context(), ""); ok {
			defer release()
		}
	}
	if got := get(t, e, "/photo/7/original"); got.status != http.StatusServiceUnavailable {
		t.Errorf("one download more of others: %d", got.status)
	}
	if got := s.request(e, http.MethodGet, "/me/photos/7/original", nil); got.status != http.StatusOK {
		t.Errorf("an owner: %d", got.status)
	}
}

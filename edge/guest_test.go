package edge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// guestSite is an uploadSite with a link of person 7's, by which photos are added. Its pages are what they are asked
// for, as JSON.
type guestSite struct {
	*uploadSite
	link    page.Share
	revoked atomic.Bool
	byGuest atomic.Int64 // requests about uploads that came by the link
}

var errRevoked = &wire.InputError{Field: "file", Problem: "No photos can be added by this link any more."}

func newGuestSite(t *testing.T) *guestSite {
	t.Helper()
	s := &guestSite{uploadSite: newUploadSite(t), link: page.Share{Token: page.ShareToken([16]byte{1, 2, 3})}}
	check := func(m *nats.Msg) error {
		switch {
		case m.Header.Get(wire.HeaderShare) != s.link.ID():
			return wire.ErrNotFound
		case s.revoked.Load():
			return errRevoked
		}
		return nil
	}
	_, err := s.nc.QueueSubscribe(wire.SubjectSharePage, wire.QueueRenderer, func(m *nats.Msg) {
		asked, err := wire.DecodeShareRequest(m.Data)
		if err == nil {
			err = check(m)
		}
		reply := &nats.Msg{Subject: m.Reply, Data: m.Data, Header: nats.Header{}}
		if asked.Exists && asked.Add {
			reply.Header.Set(wire.HeaderUser, "7")
		}
		if err != nil {
			reply = wire.ErrorMsg(m.Reply, err)
		}
		_ = m.RespondMsg(reply)
	})
	if err == nil {
		err = s.nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.store.Before(func(_ string, m *nats.Msg) error {
		if _, isGuest := m.Header[wire.HeaderShare]; !isGuest {
			return nil
		}
		s.byGuest.Add(1)
		if got := m.Header[wire.HeaderGrant]; !reflect.DeepEqual(got, []string{"granted"}) {
			t.Errorf("the password is proved by %q", got)
		}
		return check(m)
	})
	return s
}

// guest sends a request of a guest, who has given the password of the link.
func (s *guestSite) guest(e *Server, method, path string, body []byte, fields ...string) answer {
	s.t.Helper()
	return s.request(e, method, path, bytes.NewReader(body), append([]string{"Cookie", "share=granted"}, fields...)...)
}

// isProblem checks that a guest is refused with a status, and hears this.
func (s *guestSite) isProblem(what string, got answer, status int, problem string) {
	s.t.Helper()
	var said struct{ Problem string }
	_ = json.Unmarshal([]byte(got.body), &said) // what is none says nothing
	if got.status != status || said.Problem != problem {
		s.t.Errorf("%s: %d %q, want %d %q", what, got.status, got.body, status, problem)
	}
}

// TestGuestFiles: a guest sends a file as people do, through any edge, and is told where the link shows it. Each
// request says by which link it comes, and those of people say nothing of it.
func TestGuestFiles(t *testing.T) {
	t.Parallel()
	s := newGuestSite(t)
	files := s.link.FilesPath()
	file := fileOf(2*wire.MaxChunk + 5)
	metadata := "filename " + base64.StdEncoding.EncodeToString([]byte("a.jpg")) + ",guest " +
		base64.StdEncoding.EncodeToString([]byte("Mia\u202e")) + ",visibility " +
		base64.StdEncoding.EncodeToString([]byte("unlisted")) + ",album " +
		base64.StdEncoding.EncodeToString([]byte("Yosemite"))
	begin := func(e *Server) answer {
		return s.guest(e, http.MethodPost, files, nil, "Upload-Length", fmt.Sprint(len(file)),
			"Upload-Metadata", metadata, "Idempotency-Key", "one")
	}
	got := begin(s.edges[0])
	path := got.header.Get("Location")
	id, isHere := strings.CutPrefix(path, files+"/")
	if got.status != http.StatusCreated || !isHere || begin(s.edges[1]).header.Get("Location") != path {
		t.Fatalf("%d, %v %s", got.status, got.header, got.body)
	}
	if known, _ := s.store.File(id); known.Guest != "Mia" || known.Name != "a.jpg" ||
		!known.Private || known.Unlisted || known.Album != "" {
		t.Errorf("of the file is known %+v", known)
	}
	if own := s.request(s.edges[0], http.MethodPost, "/upload/files", nil, "Upload-Length", fmt.Sprint(len(file)),
		"Idempotency-Key", "one"); strings.HasSuffix(own.header.Get("Location"), id) {
		t.Error("the owner has the same upload under the same key")
	}
	if at := s.guest(s.edges[0], http.MethodPatch, path, file[:wire.MaxChunk], "Upload-Offset", "0"); at.status !=
		http.StatusNoContent {
		t.Fatalf("%d %s", at.status, at.body)
	}
	at := s.guest(s.edges[1], http.MethodHead, path, nil)
	if at.header.Get("Upload-Offset") != fmt.Sprint(wire.MaxChunk) {
		t.Errorf("%v", at.header)
	}
	end := s.guest(s.edges[1], http.MethodPatch, path, file[wire.MaxChunk:], "Upload-Offset", fmt.Sprint(wire.MaxChunk))
	if end.header.Get("Killr-Photo") != s.link.Path()+"/1" || end.header.Get("Set-Cookie") != "" ||
		!bytes.Equal(s.store.Photo(1), file) {
		t.Errorf("the end: %d %v", end.status, end.header)
	}
	for name, want := range map[string]string{"Referrer-Policy": "strict-origin", "Cache-Control": "private, no-store",
		"X-Robots-Tag": "noindex, nofollow, noarchive"} {
		if end.header.Get(name) != want {
			t.Errorf("%s is %q", name, end.header.Get(name))
		}
	}
	if s.byGuest.Load() < 7 {
		t.Errorf("%d requests came by the link", s.byGuest.Load())
	}
	before := s.byGuest.Load()
	s.patch(s.edges[0], s.begin(5), 0, fileOf(5))
	if s.byGuest.Load() != before {
		t.Error("an owner's own upload came by a link")
	}
}

// TestGuestFilesAreRefused: another site sends nothing, a link that is none or is revoked takes nothing, and neither
// does it once an upload is under way.
func TestGuestFilesAreRefused(t *testing.T) {
	t.Parallel()
	s := newGuestSite(t)
	files := s.link.FilesPath()
	other := page.Share{Token: page.ShareToken([16]byte{9})}.FilesPath()
	for what, c := range map[string]struct {
		method, path string
		fields       []string
		status       int
	}{
		"another site":      {http.MethodPost, files, []string{"Origin", "https://evil.example"}, 403},
		"no origin":         {http.MethodPost, files, []string{"Origin", ""}, 403},
		"another site's ad": {http.MethodPost, files, []string{"Origin", "", "Sec-Fetch-Site", "cross-site"}, 403},
		"no link":           {http.MethodPost, other, nil, 404},
		"no upload":         {http.MethodPatch, files + "/x", nil, 404},
		"no file":           {http.MethodPut, files, nil, 405},
		"no list":           {http.MethodGet, files, nil, 405},
	} {
		fields := append([]string{"Upload-Length", "5", "Upload-Offset", "0"}, c.fields...)
		if got := s.guest(s.edges[0], c.method, c.path, nil, fields...); got.status != c.status ||
			!strings.HasPrefix(got.body, `{"error":`) {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := s.request(s.edges[0], http.MethodOptions, files, nil, "Cookie", ""); got.status != http.StatusNoContent {
		t.Errorf("what the edge can do: %d", got.status)
	}
	file := fileOf(2 * wire.MaxChunk)
	begun := s.guest(s.edges[0], http.MethodPost, files, nil, "Upload-Length", fmt.Sprint(len(file)))
	path := begun.header.Get("Location")
	got := s.guest(s.edges[0], http.MethodPatch, path, file[:wire.MaxChunk], "Upload-Offset", "0")
	if got.status != http.StatusNoContent {
		t.Fatalf("%d %s", got.status, got.body)
	}
	// It is revoked after the request has begun: the chunk is refused.
	s.store.Before(func(verb string, m *nats.Msg) error {
		if verb == wire.UploadChunk {
			return errRevoked
		}
		return nil
	})
	s.isProblem("under way", s.guest(s.edges[1], http.MethodPatch, path, file[wire.MaxChunk:], "Upload-Offset",
		fmt.Sprint(wire.MaxChunk)), http.StatusUnprocessableEntity, errRevoked.Problem)
	s.revoked.Store(true)
	for _, method := range []string{http.MethodPatch, http.MethodGet, http.MethodDelete} {
		s.isProblem("revoked, "+method, s.guest(s.edges[1], method, path, nil, "Upload-Offset", "0"),
			http.StatusUnprocessableEntity, errRevoked.Problem)
	}
	if s.store.Photos() != 0 {
		t.Errorf("%d photos", s.store.Photos())
	}
}

// TestGuestForm: the form works without script; what the album's owner has under the same key is apart.
func TestGuestForm(t *testing.T) {
	t.Parallel()
	s := newGuestSite(t)
	s.showsForm()
	one := fileOf(1000)
	body, kind := formBody(t, formPart{"key", "", []byte(formKey)}, formPart{"guest", "", []byte("Mia")},
		formPart{"file", "one.jpg", one}, formPart{"file", "empty.jpg", nil})
	send := func(fields ...string) (answer, wire.ShareRequest) {
		got := s.guest(s.edges[0], http.MethodPost, s.link.AddPage().Path(), body,
			append([]string{"Content-Type", kind}, fields...)...)
		var asked wire.ShareRequest
		_ = json.Unmarshal([]byte(got.body), &asked) // an error page is none
		return got, asked
	}
	for range 2 {
		got, asked := send()
		if got.status != http.StatusOK || asked.Guest != "Mia" || !asked.Add || len(asked.Uploads) != 2 ||
			asked.Uploads[0].Photo != 1 || asked.Uploads[1].Problem != "The file is empty." || asked.Key == formKey {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if s.store.Asked(wire.UploadCreate) != 2 || s.store.Photos() != 1 {
		t.Errorf("%d uploads, %d photos", s.store.Asked(wire.UploadCreate), s.store.Photos())
	}
	uploads := s.store.Asked(wire.UploadChunk)
	if status, _ := s.submit(body, kind); status != http.StatusOK || s.store.Asked(wire.UploadChunk) == uploads {
		t.Error("the owner has the same upload under the same key")
	}
	if got, _ := send("Origin", "https://evil.example"); got.status != http.StatusForbidden {
		t.Errorf("from another site: %d", got.status)
	}
	if got, asked := send("Content-Type", "text/plain"); got.status != http.StatusUnsupportedMediaType ||
		asked.Problems["form"] == "" {
		t.Errorf("no form: %d %s", got.status, got.body)
	}
	got := s.guest(s.edges[0], http.MethodGet, s.link.AddPage().Path(), nil)
	if got.status != http.StatusOK || !strings.Contains(got.body, `"add":true`) {
		t.Errorf("the page: %d %s", got.status, got.body)
	}
	if put := s.guest(s.edges[0], http.MethodPut, s.link.AddPage().Path(), nil); put.status != 405 {
		t.Errorf("PUT: %d", put.status)
	}
	s.revoked.Store(true)
	if got, _ := send(); got.status < 400 || s.store.Photos() != 1 {
		t.Errorf("by a revoked link: %d %s", got.status, got.body)
	}
}

// TestGuestFilesAreBounded: an address begins so many files a minute, and is refused further ones at every edge. That
// keeps its owner from nothing.
func TestGuestFilesAreBounded(t *testing.T) {
	t.Parallel()
	s := newGuestSite(t)
	refused := 0
	for i := range 2*guestFilesOfAddress + 1 { // more than two minutes' that follow each other let through
		got := s.guest(s.edges[i%2], http.MethodPost, s.link.FilesPath(), nil, "Upload-Length", "5")
		switch {
		case got.status == http.StatusTooManyRequests:
			refused++
		case got.status != http.StatusCreated:
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if refused == 0 {
		t.Error("no file was refused")
	}
	for limit, want := range map[int]guessBound{
		100: {"guest address 203.0.113.9/32", guestFilesOfAddress},
		-1:  {"guest share " + s.link.ID(), guestFilesOfLink},
	} {
		if got, err := guestBound(s.link, "203.0.113.9:4711", limit); err != nil || got != want {
			t.Errorf("%d an address: %v, %v", limit, got, err)
		}
	}
	a, b := senderOf(s.link, "a"), senderOf(s.link, "b")
	if a >= 0 || b >= 0 || a == b || a != senderOf(s.link, "a") {
		t.Errorf("the senders are %d and %d", a, b)
	}
	s.begin(5)
}

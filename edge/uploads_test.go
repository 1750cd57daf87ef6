package edge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/session"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// uploadSite is two edges, a model of renderers that keeps what is uploaded, and a person who is signed in.
type uploadSite struct {
	*site
	store  *testenv.Uploads
	edges  []*Server
	cookie string
}

func newUploadSite(t *testing.T) *uploadSite {
	t.Helper()
	s := &uploadSite{site: newSite(t)}
	s.renderer()
	s.store = testenv.NewUploads(t, s.server.URL())
	files := testenv.ConnectForFiles(t, s.server.URL(), wire.RoleEdge)
	s.edges = []*Server{s.edge(func(c *Config) { c.Uploads = files }), s.edge()}
	s.cookie = s.signInAs(7, "ansel")
	return s
}

func (s *uploadSite) signInAs(user int64, name string) (cookie string) {
	s.t.Helper()
	token, err := s.edges[0].sessions.Begin(s.t.Context(), wire.Account{User: user, Name: name,
		PasswordAt: time.Now().Add(-time.Hour)}, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return "session=" + token
}

// request sends a request of the person to an edge. fields are name, value, name, value, ...; they replace what a
// browser on the site's own pages would send. An empty value removes a field.
func (s *uploadSite) request(e *Server, method, path string, body io.Reader, fields ...string) answer {
	s.t.Helper()
	a, err := s.try(e, method, path, body, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *uploadSite) try(e *Server, method, path string, body io.Reader, fields ...string) (answer, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+e.Addr()+path, body)
	if err != nil {
		return answer{}, err
	}
	r.Header = http.Header{"Cookie": {s.cookie}, "Origin": {"http://" + e.Addr()}, "Tus-Resumable": {"1.0.0"}}
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i < len(fields); i += 2 {
		if r.Header.Del(fields[i]); fields[i+1] != "" {
			r.Header[http.CanonicalHeaderKey(fields[i])] = strings.Split(fields[i+1], "\n")
		}
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data)}, err
}

// begin makes an upload and returns its path.
func (s *uploadSite) begin(size int, fields ...string) string {
	s.t.Helper()
	got := s.request(s.edges[0], http.MethodPost, "/upload/files", nil,
		append([]string{"Upload-Length", strconv.Itoa(size)}, fields...)...)
	if got.status != http.StatusCreated || !strings.HasPrefix(got.header.Get("Location"), "/upload/files/") {
		s.t.Fatalf("status %d, %v %s", got.status, got.header, got.body)
	}
	return got.header.Get("Location")
}

func (s *uploadSite) patch(e *Server, path string, at int64, body []byte, fields ...string) answer {
	s.t.Helper()
	return s.request(e, http.MethodPatch, path, bytes.NewReader(body),
		append([]string{"Upload-Offset", itoa(at)}, fields...)...)
}

func (s *uploadSite) offset(e *Server, path string) int64 {
	s.t.Helper()
	got := s.request(e, http.MethodHead, path, nil)
	at, err := strconv.ParseInt(got.header.Get("Upload-Offset"), 10, 64)
	if got.status != http.StatusOK || err != nil {
		s.t.Fatalf("HEAD: status %d, %v", got.status, got.header)
	}
	return at
}

// holds checks that a photo is this file.
func (s *uploadSite) holds(a answer, file []byte) {
	s.t.Helper()
	id, err := strconv.ParseInt(strings.TrimPrefix(a.header.Get("Killr-Photo"), "/photo/"), 10, 64)
	if err != nil || !bytes.Equal(s.store.Photo(id), file) {
		s.t.Errorf("status %d, photo %q has %d bytes, want %d; %s", a.status, a.header.Get("Killr-Photo"),
			len(s.store.Photo(id)), len(file), a.body)
	}
}

// fileOf makes a file that no other test makes.
func fileOf(size int) []byte {
	file := make([]byte, size)
	for i := 0; i < size; i += 8 {
		copy(file[i:], fmt.Sprintf("%08x", rand.Uint32()))
	}
	return file
}

func code(a answer) string {
	var said struct{ Error string }
	if json.Unmarshal([]byte(a.body), &said) != nil {
		return ""
	}
	return said.Error
}

// TestUpload: a file becomes a photo by POST and PATCH, the answer names its page, and every edge shows the person's
// own change at once.
func TestUpload(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	s.signingKey(s.edges...)
	file := fileOf(3*wire.MaxChunk + 1000)
	name := base64.StdEncoding.EncodeToString([]byte("C:\\fotos\\Lake\r\n.jpg"))
	path := s.begin(len(file), "Upload-Metadata", "filename "+name+",filetype aW1hZ2UvanBlZw==,private MQ==,more")
	id := strings.TrimPrefix(path, "/upload/files/")
	want := wire.UploadFile{Name: "Lake.jpg", Bytes: int64(len(file)), Type: "image/jpeg", Private: true}
	if got, _ := s.store.File(id); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	got := s.patch(s.edges[1], path, 0, file)
	if got.status != http.StatusNoContent || got.header.Get("Upload-Offset") != strconv.Itoa(len(file)) ||
		got.header.Get("Tus-Resumable") != "1.0.0" || got.header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("status %d, %v", got.status, got.header)
	}
	s.holds(got, file)
	if cookie := got.header.Get("Set-Cookie"); !strings.HasPrefix(cookie, wire.FreshCookie+"=") {
		t.Errorf("no token for the person's own change: %q", cookie)
	}
	if newest := s.edges[1].pages.tracker.Scope("user.ansel").Newest(); newest != 7 {
		t.Errorf("the edge knows version %d of the person's pages, want 7", newest)
	}
	again := s.request(s.edges[0], http.MethodPost, "/upload/files", bytes.NewReader(file), "Upload-Length",
		strconv.Itoa(len(file)), "Content-Type", "application/offset+octet-stream")
	if again.status != http.StatusCreated || again.header.Get("Killr-Duplicate") != "1" {
		t.Errorf("the same file: status %d, %v", again.status, again.header)
	}
	s.holds(again, file)
	if s.store.Photos() != 1 {
		t.Errorf("%d photos", s.store.Photos())
	}
	small := fileOf(10)
	s.holds(s.patch(s.edges[0], s.begin(10), 0, small), small)
	refused := s.patch(s.edges[0], s.begin(len(testenv.BadFile)), 0, []byte(testenv.BadFile))
	if refused.status != http.StatusUnprocessableEntity ||
		!strings.Contains(refused.body, "This is no picture. Choose a JPEG.") {
		t.Errorf("no picture: %d %s", refused.status, refused.body)
	}
}

// TestTus: every rule of tus 1.0 that an edge promises to follow.
func TestTus(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	e := s.edges[0]
	text := strings.NewReader
	const files = "/upload/files"
	ten := s.begin(10)
	big := base64.StdEncoding.EncodeToString(make([]byte, 6300))
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("é", 2000) + ".jpg"))
	for _, c := range []struct {
		name, method, path string
		body               io.Reader
		fields             []string
		status             int
		field, value       string // of the answer
	}{
		{"options", "OPTIONS", files, nil, []string{"Tus-Resumable", "", "Cookie", ""}, 204, "Tus-Version", "1.0.0"},
		{"extensions", "OPTIONS", ten, nil, nil, 204, "Tus-Extension",
			"creation,creation-with-upload,creation-defer-length,termination"},
		{"greatest", "OPTIONS", files, nil, nil, 204, "Tus-Max-Size", strconv.Itoa(wire.MaxUpload)},
		{"no version", "HEAD", ten, nil, []string{"Tus-Resumable", ""}, 412, "Tus-Version", "1.0.0"},
		{"other version", "PATCH", ten, text("x"), []string{"Tus-Resumable", "0.2.2"}, 412, "Tus-Version", "1.0.0"},
		{"version twice", "HEAD", ten, nil, []string{"Tus-Resumable", "1.0.0\n1.0.0"}, 400, "", ""},
		{"head", "HEAD", ten, nil, nil, 200, "Upload-Offset", "0"},
		{"head has the length", "HEAD", ten, nil, nil, 200, "Upload-Length", "10"},
		{"head is not kept", "HEAD", ten, nil, nil, 200, "Cache-Control", "private, no-store"},
		{"head of none", "HEAD", files + "/" + strings.Repeat("a", 26), nil, nil, 404, "Upload-Offset", ""},
		{"an id that is none", "HEAD", files + "/../me", nil, nil, 404, "", ""},
		{"head of all", "HEAD", files, nil, nil, 405, "Allow", "POST, OPTIONS"},
		{"put", "PUT", ten, nil, nil, 405, "Allow", "HEAD, GET, PATCH, DELETE, OPTIONS"},
		{"wrong offset", "PATCH", ten, text("x"), []string{"Upload-Offset", "3"}, 409, "Upload-Offset", "0"},
		{"no offset", "PATCH", ten, text("x"), nil, 400, "", ""},
		{"negative offset", "PATCH", ten, text("x"), []string{"Upload-Offset", "-1"}, 400, "", ""},
		{"offset with a sign", "PATCH", ten, text("x"), []string{"Upload-Offset", "+0"}, 400, "", ""},
		{"offset twice", "PATCH", ten, text("x"), []string{"Upload-Offset", "0\n0"}, 400, "", ""},
		{"huge offset", "PATCH", ten, text("x"), []string{"Upload-Offset", "99999999999999999999"}, 400, "", ""},
		{"other type", "PATCH", ten, text("x"), []string{"Upload-Offset", "0", "Content-Type", "text/plain"}, 415,
			"", ""},
		{"no type", "PATCH", ten, text("x"), []string{"Upload-Offset", "0", "Content-Type", ""}, 415, "", ""},
		{"too much", "PATCH", ten, text("12345678901"), []string{"Upload-Offset", "0"}, 413, "", ""},
		{"too much, in pieces", "PATCH", ten, io.MultiReader(text("1234567890"), text("1")),
			[]string{"Upload-Offset", "0"}, 413, "", ""},
		{"other length", "PATCH", ten, text("x"), []string{"Upload-Offset", "0", "Upload-Length", "11"}, 400, "", ""},
		{"patch of none", "PATCH", files + "/" + strings.Repeat("b", 26), text("x"),
			[]string{"Upload-Offset", "0"}, 404, "", ""},
		{"no length", "POST", files, nil, nil, 400, "", ""},
		{"both lengths", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Defer-Length", "1"}, 400, "", ""},
		{"a later length, badly", "POST", files, nil, []string{"Upload-Defer-Length", "2"}, 400, "", ""},
		{"length twice", "POST", files, nil, []string{"Upload-Length", "1\n2"}, 400, "", ""},
		{"negative length", "POST", files, nil, []string{"Upload-Length", "-1"}, 400, "", ""},
		{"empty file", "POST", files, nil, []string{"Upload-Length", "0"}, 422, "", ""},
		{"too large", "POST", files, nil, []string{"Upload-Length", strconv.Itoa(wire.MaxUpload + 1)}, 413, "", ""},
		{"body of another type", "POST", files, text("x"), []string{"Upload-Length", "1"}, 415, "", ""},
		{"body longer than said", "POST", files, text("xx"),
			[]string{"Upload-Length", "1", "Content-Type", "application/offset+octet-stream"}, 413, "", ""},
		{"metadata", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "a,b ,c YQ=="}, 201, "", ""},
		{"8 KB of metadata", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "x " + big[:8188]},
			201, "", ""},
		{"more metadata", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "x " + big}, 400,
			"", ""},
		{"metadata twice", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "a YQ==,a YQ=="}, 400,
			"", ""},
		{"two of metadata", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "a YQ==\nb YQ=="},
			400, "", ""},
		{"no base64", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "filename !"}, 400, "", ""},
		{"a name of 4 KB", "POST", files, nil, []string{"Upload-Length", "1", "Upload-Metadata", "filename " + long},
			201, "", ""},
		{"overridden", "POST", ten, text("12345"), []string{"X-HTTP-Method-Override", "PATCH", "Upload-Offset", "0",
			"Content-Type", "application/offset+octet-stream"}, 204, "Upload-Offset", "5"},
		{"deleted", "DELETE", s.begin(10), nil, nil, 204, "Tus-Resumable", "1.0.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.request(e, c.method, c.path, c.body, c.fields...)
			if got.status != c.status || c.field != "" && got.header.Get(c.field) != c.value {
				t.Errorf("status %d, %s %q, want %d, %q; %s", got.status, c.field, got.header.Get(c.field), c.status,
					c.value, got.body)
			}
			if c.status >= 400 && c.method != "HEAD" && code(got) == "" {
				t.Errorf("the refusal is no JSON: %s", got.body)
			}
		})
	}
	gone := s.begin(10)
	s.request(e, http.MethodDelete, gone, nil)
	if got := s.request(e, http.MethodHead, gone, nil); got.status != http.StatusNotFound {
		t.Errorf("a cancelled upload: %d", got.status)
	}
}

// TestUploadDeferredLength: an upload may begin without a length, which a later part tells.
func TestUploadDeferredLength(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	e := s.edges[0]
	file := fileOf(wire.MaxChunk + 5000)
	got := s.request(e, http.MethodPost, "/upload/files", nil, "Upload-Defer-Length", "1")
	path := got.header.Get("Location")
	if got := s.request(e, http.MethodHead, path, nil); got.header.Get("Upload-Defer-Length") != "1" ||
		got.header.Get("Upload-Length") != "" {
		t.Errorf("the length is not told later: %v", got.header)
	}
	if got := s.patch(e, path, 0, file[:wire.MaxChunk]); got.status != http.StatusNoContent ||
		got.header.Get("Killr-Photo") != "" {
		t.Fatalf("status %d, %v", got.status, got.header)
	}
	got = s.patch(s.edges[1], path, wire.MaxChunk, file[wire.MaxChunk:wire.MaxChunk+100], "Upload-Length",
		strconv.Itoa(len(file)))
	if got.status != http.StatusNoContent || got.header.Get("Killr-Photo") != "" {
		t.Fatalf("status %d, %v", got.status, got.header)
	}
	if got := s.request(e, http.MethodHead, path, nil); got.header.Get("Upload-Length") != strconv.Itoa(len(file)) {
		t.Errorf("the length was told: %v", got.header)
	}
	s.holds(s.patch(s.edges[1], path, wire.MaxChunk+100, file[wire.MaxChunk+100:]), file)
	path = s.request(e, http.MethodPost, "/upload/files", nil, "Upload-Defer-Length", "1").header.Get("Location")
	large := s.patch(e, path, 0, make([]byte, wire.MaxUpload+1))
	if large.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a file that is too large: %d", large.status)
	}
}

// TestUploadInSmallParts: a program that sends less than a chunk at a time gets on, at one edge.
func TestUploadInSmallParts(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	file := fileOf(wire.MaxChunk + 300_000)
	path := s.begin(len(file))
	var got answer
	for at := 0; at < len(file); at += 100_000 {
		got = s.patch(s.edges[0], path, int64(at), file[at:min(at+100_000, len(file))])
		if got.status != http.StatusNoContent {
			t.Fatalf("at %d: status %d %s", at, got.status, got.body)
		}
	}
	s.holds(got, file)
	if s.store.Bytes() != int64(len(file)) {
		t.Errorf("renderers got %d bytes of %d", s.store.Bytes(), len(file))
	}
}

// TestUploadGoesOnElsewhere: a body that is broken off goes on at another edge, and less than a chunk is sent again.
func TestUploadGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	file := fileOf(5*wire.MaxChunk + 77)
	path := s.begin(len(file))
	const cut = 3*wire.MaxChunk + 1234
	broken := dial(t, s.edges[0])
	broken.send("PATCH " + path + " HTTP/1.1\r\nHost: " + s.edges[0].Addr() + "\r\nOrigin: http://" +
		s.edges[0].Addr() +
		"\r\nCookie: " + s.cookie + "\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: " +
		strconv.Itoa(len(file)) + "\r\nContent-Type: application/offset+octet-stream\r\n\r\n" + string(file[:cut]))
	_ = broken.conn.Close()
	eventually(t, "the whole chunks are stored", func() bool {
		return s.offset(s.edges[1], path) == 3*wire.MaxChunk
	})
	eventually(t, "the first edge has the rest, too", func() bool { return s.offset(s.edges[0], path) == cut })
	s.holds(s.patch(s.edges[1], path, 3*wire.MaxChunk, file[3*wire.MaxChunk:]), file)
	if got := s.offset(s.edges[0], path); got != int64(len(file)) {
		t.Errorf("afterwards the offset is %d, want %d", got, len(file))
	}
	if s.store.Bytes() != int64(len(file)) {
		t.Errorf("renderers got %d bytes of %d", s.store.Bytes(), len(file))
	}
}

// TestUploadFinishedLater: when the reply to finish is lost, the question for the offset finishes the upload.
func TestUploadFinishedLater(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	file := fileOf(1000)
	path := s.begin(len(file))
	s.store.Before(func(verb string, _ *nats.Msg) error {
		if verb == wire.UploadFinish {
			return wire.ErrFull
		}
		return nil
	})
	if got := s.patch(s.edges[0], path, 0, file); got.status != http.StatusInsufficientStorage {
		t.Errorf("no disk: %d", got.status)
	}
	s.store.Before(nil)
	for range 2 {
		s.holds(s.request(s.edges[1], http.MethodHead, path, nil), file)
	}
	s.holds(s.patch(s.edges[0], path, int64(len(file)), nil), file)
	got := s.request(s.edges[0], http.MethodGet, path, nil)
	if !strings.Contains(got.body, `"photo":"/photo/1"`) || !strings.Contains(got.body, `"offset":1000`) {
		t.Errorf("the state is %s", got.body)
	}
	late := s.request(s.edges[1], http.MethodDelete, path, nil)
	if s.holds(late, file); late.status != http.StatusNoContent {
		t.Errorf("left out too late: %d %s", late.status, late.body)
	}
	bad := s.begin(len(testenv.BadFile))
	s.patch(s.edges[0], bad, 0, []byte(testenv.BadFile))
	if got := s.request(s.edges[1], http.MethodGet, bad, nil); got.status != http.StatusGone ||
		!strings.Contains(got.body, "no picture") {
		t.Errorf("a refused upload: %d %s", got.status, got.body)
	}
}

// TestUploadAskedAgain: a chunk that a renderer refuses, or loses, is sent again, and the sender sees nothing of it.
func TestUploadAskedAgain(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	chunks := make(chan error, 10)
	for _, err := range []error{wire.ErrBusy, nil, testenv.ErrSilent, wire.ErrUnavailable} {
		chunks <- err
	}
	s.store.Before(func(verb string, _ *nats.Msg) error {
		if verb == wire.UploadChunk {
			select {
			case err := <-chunks:
				return err
			default:
			}
		}
		return nil
	})
	file := fileOf(3 * wire.MaxChunk)
	s.holds(s.patch(s.edges[0], s.begin(len(file)), 0, file), file)
	if asked := s.store.Asked(wire.UploadChunk); asked != 6 {
		t.Errorf("%d requests for 3 chunks, of which 3 failed", asked)
	}
}

// TestUploadKey: a request that begins an upload and is sent again, with its key, begins no other.
func TestUploadKey(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	file := fileOf(100)
	paths := map[string]bool{}
	for _, key := range []string{"attempt-1", "attempt-1", "attempt-2"} {
		got := s.request(s.edges[0], http.MethodPost, "/upload/files", bytes.NewReader(file), "Upload-Length", "100",
			"Content-Type", "application/offset+octet-stream", "Idempotency-Key", key)
		if got.status != http.StatusCreated {
			t.Errorf("status %d %s", got.status, got.body)
		}
		s.holds(got, file)
		paths[got.header.Get("Location")] = true
	}
	if len(paths) != 2 {
		t.Errorf("uploads %v", paths)
	}
	// Without bytes, it says what is there.
	again := func(key string, size int) answer {
		t.Helper()
		got := s.request(s.edges[1], http.MethodPost, "/upload/files", nil, "Upload-Length", strconv.Itoa(size),
			"Idempotency-Key", key)
		if key != "refused" && got.status != http.StatusCreated {
			t.Errorf("%s: status %d %s", key, got.status, got.body)
		}
		return got
	}
	s.holds(again("attempt-1", len(file)), file)
	long := fileOf(2 * wire.MaxChunk)
	begun := again("half", len(long))
	if at := begun.header.Get("Upload-Offset"); at != "0" {
		t.Errorf("a new upload is at %q", at)
	}
	s.patch(s.edges[0], begun.header.Get("Location"), 0, long[:wire.MaxChunk])
	half := again("half", len(long))
	if at := half.header.Get("Upload-Offset"); at != strconv.Itoa(wire.MaxChunk) ||
		half.header.Get("Location") != begun.header.Get("Location") {
		t.Errorf("half an upload is at %q, %q", at, half.header.Get("Location"))
	}
	bad := again("refused", len(testenv.BadFile))
	s.patch(s.edges[0], bad.header.Get("Location"), 0, []byte(testenv.BadFile))
	if bad = again("refused", len(testenv.BadFile)); bad.status != http.StatusGone ||
		!strings.Contains(bad.body, "no picture") {
		t.Errorf("a refused upload: status %d %s", bad.status, bad.body)
	}
}

// TestReadyForUploads: an edge that can take no uploads is not ready.
func TestReadyForUploads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	uploads := s.signIn()
	e := s.edge(func(c *Config) { c.Uploads = uploads })
	uploads.Close()
	if err := e.Ready(); err == nil || !strings.Contains(err.Error(), "for uploads") {
		t.Errorf("without its connection for uploads: %v", err)
	}
}

// TestUploadAccess: nobody else's uploads, no other site's requests, and no token that may only read.
func TestUploadAccess(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	e := s.edges[0]
	path := s.begin(10)
	token := func(write bool) string {
		var secret [32]byte
		if secret[0] = 1; write {
			secret[0] = 2
		}
		token, err := e.sessions.BeginToken(t.Context(), wire.Account{User: 7, Name: "ansel",
			PasswordAt: time.Now().Add(-time.Hour)}, secret, "laptop", write)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	other := s.signInAs(8, "edward")
	for _, c := range []struct {
		name   string
		status int
		fields []string
	}{
		{"the person", 204, nil},
		{"nobody", 401, []string{"Cookie", ""}},
		{"another session", 401, []string{"Cookie", "session=" + strings.Repeat("A", 43)}},
		{"another person", 404, []string{"Cookie", other}},
		{"another site", 403, []string{"Origin", "https://evil.example"}},
		{"another site, by metadata", 403, []string{"Origin", "", "Sec-Fetch-Site", "cross-site"}},
		{"no origin", 403, []string{"Origin", ""}},
		{"no origin, but metadata", 204, []string{"Origin", "", "Sec-Fetch-Site", "same-origin"}},
		{"two sessions", 401, []string{"Cookie", s.cookie + "; " + other}},
		{"a token", 204, []string{"Cookie", "", "Origin", "", "Authorization", token(true)}},
		{"a token that reads", 403, []string{"Cookie", "", "Origin", "", "Authorization", token(false)}},
		{"a token beside a session", 403, []string{"Authorization", token(false)}},
		{"a wrong token", 401, []string{"Authorization", "Bearer killr_x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.patch(e, path, s.offset(e, path), []byte("x"), c.fields...)
			if got.status != c.status {
				t.Errorf("status %d, want %d; %s", got.status, c.status, got.body)
			}
		})
	}
	if err := e.sessions.EndAll(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if got := s.request(e, http.MethodHead, path, nil); got.status != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", got.status)
	}
	if !errors.Is(errSessionOf(e, s.cookie), session.ErrNone) {
		t.Error("the session counts")
	}
}

func errSessionOf(e *Server, cookie string) error {
	_, _, err := e.sessions.Find(context.Background(), strings.TrimPrefix(cookie, "session="))
	return err
}

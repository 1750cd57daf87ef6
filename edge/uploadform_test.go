package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// showsForm has the page of the form be what it is asked for, as JSON.
func (s *uploadSite) showsForm() {
	s.t.Helper()
	_, err := s.nc.QueueSubscribe("private.upload", wire.QueueRenderer, func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err == nil {
		err = s.nc.Flush()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// formPart is a field of a form, or a file if it has a name.
type formPart struct {
	field, name string
	data        []byte
}

func formBody(t testing.TB, parts ...formPart) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, p.field)}}
		if p.field == "file" {
			h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="file"; filename=%q`, p.name))
			h.Set("Content-Type", "image/jpeg")
		}
		part, err := w.CreatePart(h)
		if err == nil {
			_, err = part.Write(p.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

func (s *uploadSite) submit(body []byte, contentType string, fields ...string) (int, wire.PrivateRequest) {
	s.t.Helper()
	got := s.request(s.edges[0], http.MethodPost, "/upload", bytes.NewReader(body),
		append([]string{"Content-Type", contentType}, fields...)...)
	var page wire.PrivateRequest
	_ = json.Unmarshal([]byte(got.body), &page) // an error page is none
	return got.status, page
}

const formKey = "0123456789abcdef"

// TestUploadForm: a form without script brings several files; the page has a line for each. Sent again, it stores
// nothing twice; other files under its key are stored.
func TestUploadForm(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	s.showsForm()
	one, two := fileOf(1000), fileOf(2*wire.MaxChunk)
	large := make([]byte, wire.MaxUpload+1)
	body, kind := formBody(t, formPart{"key", "", []byte(formKey)}, formPart{"private", "", []byte("1")},
		formPart{"file", "one.jpg", one}, formPart{"file", "../two.jpg", two}, formPart{"file", "", nil},
		formPart{"file", "bad.jpg", []byte(testenv.BadFile)}, formPart{"file", "large.jpg", large},
		formPart{"file", "again.jpg", one}, formPart{"file", "empty.jpg", nil})
	want := []wire.UploadLine{
		{Name: "one.jpg", Photo: 1}, {Name: "two.jpg", Photo: 2},
		{Name: "bad.jpg", Problem: "This is no picture. Choose a JPEG."},
		{Name: "large.jpg", Problem: "A file of more than 50 MiB."}, {Name: "again.jpg", Photo: 1, Duplicate: true},
		{Name: "empty.jpg", Problem: "The file is empty."},
	}
	for range 2 {
		status, page := s.submit(body, kind)
		if status != http.StatusOK || fmt.Sprint(page.Uploads) != fmt.Sprint(want) || page.Key == "" {
			t.Errorf("status %d, %+v, want %+v", status, page.Uploads, want)
		}
	}
	if !bytes.Equal(s.store.Photo(1), one) || !bytes.Equal(s.store.Photo(2), two) || s.store.Photos() != 2 {
		t.Errorf("%d photos, or others", s.store.Photos())
	}
	three := fileOf(1000)
	body, kind = formBody(t, formPart{"key", "", []byte(formKey)}, formPart{"file", "one.jpg", three})
	if _, page := s.submit(body, kind); len(page.Uploads) != 1 || page.Uploads[0].Photo != 3 {
		t.Errorf("another file under the same key: %+v", page.Uploads)
	}
	body, kind = formBody(t, formPart{"key", "", []byte(formKey)}, formPart{"file", "bad", []byte(testenv.BadFile)})
	if status, page := s.submit(body, kind); status != http.StatusUnprocessableEntity || len(page.Uploads) != 1 {
		t.Errorf("nothing but a bad file: %d %+v", status, page)
	}
}

// TestUploadFormSentAgain: a file that no renderer took is taken when its form is sent again.
func TestUploadFormSentAgain(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	s.showsForm()
	file := fileOf(1000)
	body, kind := formBody(t, formPart{"key", "", []byte(formKey)}, formPart{"file", "one.jpg", file})
	s.store.Before(func(verb string, _ *nats.Msg) error {
		if verb == wire.UploadChunk {
			return wire.ErrFull
		}
		return nil
	})
	if status, page := s.submit(body, kind); status != http.StatusUnprocessableEntity || len(page.Uploads) != 1 {
		t.Errorf("no disk: status %d, %+v", status, page.Uploads)
	}
	if n := s.store.Asked(wire.UploadCancel); n != 0 {
		t.Errorf("the upload was cancelled %d times", n)
	}
	s.store.Before(nil)
	if _, page := s.submit(body, kind); len(page.Uploads) != 1 || page.Uploads[0].Photo != 1 {
		t.Errorf("again: %+v", page.Uploads)
	}
}

// TestHostileForms: a form that no page of the site sends is refused, and takes little memory.
func TestHostileForms(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	s.showsForm()
	key, file := formPart{"key", "", []byte(formKey)}, formPart{"file", "a.jpg", fileOf(100)}
	many := []formPart{key}
	for range 101 {
		many = append(many, file)
	}
	fields := []formPart{key}
	for range 20 {
		fields = append(fields, formPart{"other", "", nil})
	}
	whole, kind := formBody(t, key, file)
	_, boundary, _ := strings.Cut(kind, "boundary=")
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + formKey + "\r\n--" +
		boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nX-Long: "
	form := func(parts ...formPart) []byte {
		body, its := formBody(t, parts...)
		_, old, _ := strings.Cut(its, "boundary=")
		return bytes.ReplaceAll(body, []byte(old), []byte(boundary))
	}
	for _, c := range []struct {
		name   string
		body   []byte
		kind   string
		status int
		fields []string
	}{
		{"the usual one", whole, kind, 200, nil},
		{"no key", form(file), kind, 400, nil},
		{"a short key", form(formPart{"key", "", []byte("x")}, file), kind, 400, nil},
		{"the key behind", form(file, key), kind, 400, nil},
		{"a field behind", form(key, file, formPart{"private", "", nil}), kind, 400, nil},
		{"many fields", form(fields...), kind, 400, nil},
		{"a long field", form(formPart{"key", "", make([]byte, 5000)}, file), kind, 400, nil},
		{"101 files", form(many...), kind, 413, nil},
		{"no file", form(key), kind, 422, nil},
		{"nothing", nil, kind, 422, nil},
		{"no boundary", whole, "multipart/form-data", 400, nil},
		{"a long boundary", whole, "multipart/form-data; boundary=" + strings.Repeat("x", 71), 400, nil},
		{"another boundary", whole, "multipart/form-data; boundary=other", 422, nil},
		{"another type", whole, "text/plain", 415, nil},
		{"a usual form", []byte("key=" + formKey), "application/x-www-form-urlencoded", 415, nil},
		{"a type twice", whole, kind + "\n" + kind, 415, nil},
		{"a long header", []byte(head + strings.Repeat("x", 1<<20)), kind, 413, nil},
		{"many headers", []byte(head + strings.Repeat("x\r\nX: ", 1<<16)), kind, 413, nil},
		{"cut", whole[:len(whole)-20], kind, 400, nil},
		{"another site", whole, kind, 403, []string{"Origin", "https://evil.example"}},
		{"no origin", whole, kind, 403, []string{"Origin", ""}},
		{"nobody", whole, kind, 303, []string{"Cookie", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if status, page := s.submit(c.body, c.kind, c.fields...); status != c.status {
				t.Errorf("status %d, want %d; %+v", status, c.status, page)
			}
		})
	}
}

// TestUploadFormBrokenOff: of a form that is broken off, the files before that are stored, and the half one is not.
func TestUploadFormBrokenOff(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	one := fileOf(1000)
	body, kind := formBody(t, formPart{"key", "", []byte(formKey)}, formPart{"file", "one.jpg", one},
		formPart{"file", "two.jpg", fileOf(10_000)})
	c := dial(t, s.edges[0])
	c.send("POST /upload HTTP/1.1\r\nHost: " + s.edges[0].Addr() + "\r\nOrigin: http://" + s.edges[0].Addr() +
		"\r\nCookie: " + s.cookie + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\nContent-Type: " + kind +
		"\r\n\r\n")
	if _, err := io.Copy(c.conn, bytes.NewReader(body[:len(body)-5000])); err != nil {
		t.Fatal(err)
	}
	_ = c.conn.Close()
	eventually(t, "the first file is stored", func() bool { return s.store.Photos() == 1 })
	eventually(t, "the edge is done with the form", func() bool { return count(t, s.edges[0].metrics.inFlight) == 0 })
	if s.store.Photos() != 1 || s.store.Asked(wire.UploadFinish) != 1 {
		t.Errorf("%d photos, %d finished", s.store.Photos(), s.store.Asked(wire.UploadFinish))
	}
}

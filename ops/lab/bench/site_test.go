package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// jpeg begins and ends as a JPEG does.
var jpeg = []byte("\xff\xd8\xff\xe0 a picture \xff\xd9")

// site is a small site of one user, with the shape of the real one: a page of photos, older ones, and a page for each
// photo.
type site struct {
	mu    sync.Mutex
	asked []string // paths, in the order of their answers
	conns map[string]int
}

// pages of the site: what each needs and links to.
var pages = map[string]string{
	"/photos/ansel": head + photo(1, "a") + photo(2, "b") +
		`<a rel="next" href="/photos/ansel/before/2">Older photos</a>`,
	"/photos/ansel/before/2": head + photo(3, "c") + `<a rel="prev" href="/photos/ansel">Newer photos</a>`,
	"/photo/1":               head + stage("a") + `<a rel="next" href="/photo/2">Next</a>`,
	"/photo/2":               head + stage("b"),
	"/photo/3":               head + stage("c"),
}

const head = `<link rel="stylesheet" href="/static/app.0.css"><script src="/static/app.0.js" defer></script><link rel="alternate" href="/photos/ansel/feed">` +
	`<link rel="canonical" href="/photos/ansel"><link rel="next" href="/not-asked">`

func photo(id int, image string) string {
	return fmt.Sprintf(
		`<a href="/photo/%d"><img src="/img/%s/640.jpg" srcset="/img/%s/320.jpg 320w,/img/%s/640.jpg 640w" sizes="auto,300px" width="640" height="427" loading="lazy"></a>`,
		id, image, image, image,
	)
}

func stage(image string) string {
	return `<a rel="author" href="/photos/ansel">Ansel</a>` + fmt.Sprintf(
		`<img src="/img/%s/1280.jpg" srcset="/img/%s/640.jpg 640w,/img/%s/1280.jpg 1280w" sizes="100vw">`, image, image,
		image,
	)
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	if s.conns == nil {
		s.conns = map[string]int{}
	}
	s.conns[r.RemoteAddr]++
	s.mu.Unlock()
	serve(w, r)
}

// serve answers as an edge would.
func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Cache", "near")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	switch body := []byte("{}"); {
	case pages[r.URL.Path] != "":
		h.Set("Cache-Control", "max-age=0, must-revalidate")
		h.Set("Content-Type", "text/html; charset=utf-8")
		writePacked(w, r, "<!DOCTYPE html><html><body>"+pages[r.URL.Path]+"</body></html>\n")
	case strings.HasPrefix(r.URL.Path, "/img/"):
		h.Set("Content-Type", "image/jpeg")
		w.Write(jpeg)
	case r.URL.Path == "/static/app.0.css":
		h.Set("Content-Type", "text/css")
		w.Write(body)
	case r.URL.Path == "/static/app.0.js":
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		w.Write(body)
	default:
		http.NotFound(w, r)
	}
}

// writePacked writes a body, compressed by gzip if the client accepts that.
func writePacked(w http.ResponseWriter, r *http.Request, body string) {
	if r.Header.Get("Accept-Encoding") != "gzip" {
		fmt.Fprint(w, body)
		return
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprint(z, body)
	z.Close()
	w.Header().Set("Content-Encoding", "gzip")
	w.Write(b.Bytes())
}

// listen serves a handler on loopback, with HTTP/1.1 and HTTP/2, and returns its URL.
func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// some is a run with an exact number of pages by one visitor, however slow the machine is.
func some(url string, pages int) Config {
	return Config{Edges: []string{url}, Pages: []Page{PageAt("/photos/ansel")}, Visitors: 1, Rate: 50, Even: true,
		Duration: time.Duration(pages) * 20 * time.Millisecond, VisitPages: pages, Timeout: time.Minute}
}

func mustRun(t *testing.T, cfg Config) *Result {
	t.Helper()
	res, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func mustBeClean(t *testing.T, res *Result) {
	t.Helper()
	for _, f := range res.Failures {
		t.Errorf("%d x %s: %s", f.Count, f.Kind, f.Example)
	}
	if res.Cut != 0 {
		t.Errorf("%d requests were cut", res.Cut)
	}
}

var errRefused = errors.New("refused")

// refuse is a dial that succeeds the first time only.
func refuse() func(context.Context, string, string) (net.Conn, error) {
	var once sync.Once
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = fmt.Errorf("dial %s: %w", addr, errRefused)
		once.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, network, addr) })
		return conn, err
	}
}

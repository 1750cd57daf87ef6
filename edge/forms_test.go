package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"flickrkillr/edge/encryption"
	"flickrkillr/edge/session"
)

// TestSessionCookies: where visitors reach the site over TLS, their browsers take the cookie from this host alone, and
// send it over TLS alone.
func TestSessionCookies(t *testing.T) {
	t.Parallel()
	origins, err := newOrigins([]string{"https://photos.example", "http://inside.example:8080"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host string
		tls  bool
		want string
	}{
		{"photos.example", false, "__Host-session=abc; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
		{"PHOTOS.example:443", false, "__Host-session=abc; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
		{"inside.example:8080", false, "session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		{"other.example", false, "session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		{"other.example", true, "__Host-session=abc; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
	} {
		s := &Server{origins: origins}
		if c.tls {
			s.cfg.Certificates = []encryption.KeyPair{{Certificate: "cert.pem", Key: "key.pem"}}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/signin", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		s.setSession(w, r, "abc", "ansel")
		set := w.Header()["Set-Cookie"]
		if len(set) != 2 || set[0] != c.want || strings.Contains(set[1], "HttpOnly") ||
			!strings.HasPrefix(set[1], session.NameCookie+"=ansel;") {
			t.Errorf("%s: %q", c.host, set)
		}
		w = httptest.NewRecorder()
		s.clearSession(w, r)
		for i, line := range w.Header()["Set-Cookie"] {
			name, _, _ := strings.Cut(set[i], "=")
			if !strings.HasPrefix(line, name+"=;") || !strings.Contains(line, "Max-Age=0") {
				t.Errorf("%s: cleared by %q", c.host, line)
			}
		}
	}
}

// TestLocalPath: a form leads to paths of this site alone.
func TestLocalPath(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/photos/ansel": "/photos/ansel", "/search?q=a&b=c#x": "/search?q=a&b=c", "/tag/d%C3%BCne": "/tag/d%C3%BCne",
		"/": "/", "": "", "photos": "", "//evil.example": "", "/\\evil.example": "", "https://evil.example/": "",
		"javascript:alert(1)": "", "/a\r\nSet-Cookie: x=1": "", "/" + strings.Repeat("a", 600): "",
		"/\t/evil.example": "",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%.60q: %q, want %q", next, got, want)
		}
	}
}

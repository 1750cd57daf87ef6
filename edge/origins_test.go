package edge

import (
	"net/http"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	o, err := newOrigins([]string{"https://Photos.Example/", "http://plain.example:80", "http://127.0.0.1:8080", "https://[::1]", "https://other.example:8443", "https://photos.example:443"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"photos.example":                "https://photos.example",
		"PHOTOS.example:443":            "https://photos.example",
		"photos.example:80":             "",
		"photos.example.":               "",
		"plain.example":                 "http://plain.example",
		"plain.example:80":              "http://plain.example",
		"127.0.0.1:8080":                "http://127.0.0.1:8080",
		"127.0.0.1":                     "",
		"[::1]":                         "https://[::1]",
		"[::1]:443":                     "https://[::1]",
		"other.example:8443":            "https://other.example:8443",
		"other.example":                 "",
		"":                              "",
		"evil.example":                  "",
		"photos.example.evil.example":   "",
		strings.Repeat("a", 300) + ".b": "",
	} {
		if got := withOrigin(o, page.Photo(7), host); got.Origin() != want || got != withOrigin(o, page.Photo(7), []byte(host)) {
			t.Errorf("%q: at %q, want %q", host, got.Origin(), want)
		}
	}
	if got := withOrigin(o, page.Error(404), "photos.example"); got != page.Error(404) {
		t.Errorf("%v has no absolute links", got)
	}
	nc := newSite(t).nc
	for _, bad := range [][]string{
		{"photos.example"}, {"ftp://photos.example"}, {"https://"}, {""}, {"https://photos.example/x"}, {"https://photos.example?x"}, {"https://a@photos.example"},
		{"https://photos example"}, {"https://фото.example"}, {"https://photos.example#x"}, {"http://photos.example:80x"}, {"http://photos.example", "https://photos.example"},
	} {
		err := CheckOrigins(bad)
		if err == nil || !strings.Contains(err.Error(), bad[len(bad)-1]) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := New(Config{NATS: nc, Addr: "127.0.0.1:0", Origins: bad}); err == nil {
			t.Errorf("an edge takes %q", bad)
		}
	}
}

// TestOriginsOfPages: whoever comes by a configured address gets pages made for that, and nobody else does; by either way.
func TestOriginsOfPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge(func(c *Config) { c.Origins = []string{"https://photos.example"} })
	client := dial(t, e)
	plain, at := page.Photo(7), page.Photo(7).At("https://photos.example")
	for _, tier := range []string{"render", "near"} {
		for _, c := range []struct {
			host string
			ref  page.Ref
			tier string
		}{
			{"Photos.example", at, tier},
			{"photos.example:443", at, "near"},
			{"killr", plain, tier},
			{"photos.example.evil.example", plain, "near"},
		} {
			for _, more := range []string{"", "X-Note: a\ttab\r\n"} {
				client.send("GET /photo/7 HTTP/1.1\r\nHost: " + c.host + "\r\n" + more + "\r\n")
				a := client.receive(http.MethodGet)
				if want := "<h1>" + c.ref.Subject() + "</h1>"; a.body != want || a.tier() != c.tier && more == "" {
					t.Errorf("%s: %s, from %s; want %s from %s", c.host, a.body, a.tier(), want, c.tier)
				}
			}
		}
	}
	client.send("GET /photo/7 HTTP/1.1\r\nHost: killr\r\nX-Forwarded-Host: photos.example\r\nForwarded: host=photos.example\r\n\r\n")
	if a := client.receive(http.MethodGet); a.body != "<h1>"+plain.Subject()+"</h1>" {
		t.Errorf("by X-Forwarded-Host: %s", a.body)
	}
	client.send("GET /photo/7/ HTTP/1.1\r\nHost: photos.example\r\n\r\n")
	if a := client.receive(http.MethodGet); a.header.Get("Location") != "/photo/7" {
		t.Errorf("redirected to %s", a.header.Get("Location"))
	}
}

func BenchmarkOrigins(b *testing.B) {
	o, err := newOrigins([]string{"https://photos.example"})
	if err != nil {
		b.Fatal(err)
	}
	host := []byte("Photos.example:443")
	b.ReportAllocs()
	for b.Loop() {
		if withOrigin(o, page.Photo(7), host).Origin() == "" {
			b.Fatal("none")
		}
	}
}

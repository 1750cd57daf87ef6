package edge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

// TestOrigins: the Host of a request selects one of the configured origins; a wrong origin is an error that names it.
func TestOrigins(t *testing.T) {
	t.Parallel()
	o, err := newOrigins([]string{
		"https://Photos.Example/", "http://plain.example:80", "http://127.0.0.1:8080", "https://[::1]",
		"https://other.example:8443", "https://photos.example:443",
	})
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
		t.Run("Host "+host, func(t *testing.T) {
			got := withOrigin(o, page.Photo(7), host)
			if got.Origin() != want || got != withOrigin(o, page.Photo(7), []byte(host)) {
				t.Errorf("origin %q, want %q", got.Origin(), want)
			}
		})
	}
	if got := withOrigin(o, page.Error(404), "photos.example"); got != page.Error(404) {
		t.Errorf("%v has an origin, and an error page has no absolute links", got)
	}
	nc := newSite(t).nc
	for _, bad := range [][]string{
		{"photos.example"}, {"ftp://photos.example"}, {"https://"}, {""}, {"https://photos.example/x"},
		{"https://photos.example?x"}, {"https://photos.example#x"}, {"https://a@photos.example"},
		{"https://photos example"}, {"https://фото.example"}, {"http://photos.example:80x"},
		{"http://photos.example", "https://photos.example"},
	} {
		t.Run(fmt.Sprintf("wrong %q", bad), func(t *testing.T) {
			if err := CheckOrigins(bad); err == nil || !strings.Contains(err.Error(), bad[len(bad)-1]) {
				t.Errorf("error %v, want one that names %q", err, bad[len(bad)-1])
			}
			if _, err := New(Config{NATS: nc, Addr: "127.0.0.1:0", Origins: bad}); err == nil {
				t.Error("New accepts it")
			}
		})
	}
}

// TestOriginsOfPages: requests with the Host of a configured origin, and only those, get pages made for that origin.
func TestOriginsOfPages(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath, func(c *Config) { c.Origins = []string{"https://photos.example"} })
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
						t.Errorf("Host %s: %s, from %s; want %s from %s", c.host, a.body, a.tier(), want, c.tier)
					}
				}
			}
		}
		client.send(rawGet("/photo/7", "X-Forwarded-Host: photos.example", "Forwarded: host=photos.example"))
		if a := client.receive(http.MethodGet); a.body != "<h1>"+plain.Subject()+"</h1>" {
			t.Errorf("X-Forwarded-Host and Forwarded select an origin: %s", a.body)
		}
		client.send("GET /photo/7/ HTTP/1.1\r\nHost: photos.example\r\n\r\n")
		if a := client.receive(http.MethodGet); a.header.Get("Location") != "/photo/7" {
			t.Errorf("redirected to %s", a.header.Get("Location"))
		}
	})
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

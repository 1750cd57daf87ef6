package edge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
)

// TestPoisonedCache: no request changes what others get for a page, and no other spelling of a page's path has a copy
// of it: neither what looks like a file of it, nor what servers and caches decode differently.
func TestPoisonedCache(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		e := s.edge(onPath, func(c *Config) { c.Origins = []string{"https://photos.example"} })
		const path = "/photos/ansel"
		want := get(t, e, path)
		for _, other := range []string{
			"/x.css", "/x.js", "/.css", "/x.jpg", ";x.css", ";x.js", ".css", ".js", "%2fx.css", "%2Fx.css",
			"/..%2fx.css",
			"%3bx.js", "%3Fx.css", "%23x.css", "%00", "%00.css", "%0a.css", "%0d%0aX-A:%20b", "%20", "%09", "%ff",
			"\\x.css", "%5cx.css", "/../ansel/x.css", "/./", "//", "/%2e", "/%2e%2e", "/%252e", "%25", "~",
			"!", "$x", "&x=y", "=x", ",",
			"/before/1.css", "/before/1;x", "/before/1%00", "/before/01", "/before/+1",
		} {
			for range 2 { // the second would be a hit
				client := dial(t, e)
				client.send(rawGet(path + other))
				got := client.receive(http.MethodGet)
				if got.status == http.StatusOK {
					t.Errorf("%s: 200 from %s, %.40s", other, got.tier(), got.body)
				}
				if control := got.header.Get("Cache-Control"); got.status != http.StatusMovedPermanently &&
					control != "no-store" {
					t.Errorf("%s: %d with Cache-Control %q", other, got.status, control)
				}
				if to := got.header.Get("Location"); to != "" && to != path && !strings.HasPrefix(to, path+"/") {
					t.Errorf("%s: redirected to %s", other, to)
				}
			}
		}
		for _, field := range []string{
			"X-Forwarded-Host: evil.example", "X-Host: evil.example", "X-Forwarded-Server: evil.example",
			"Forwarded: host=evil.example", "X-Original-URL: /photos/evil", "X-Rewrite-URL: /photos/evil",
			"X-Forwarded-Proto: javascript", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: //evil.example",
			"X-HTTP-Method-Override: DELETE", "Accept: application/evil", "Accept-Language: evil",
			"Origin: //evil.example",
			"Referer: https://evil.example/", "Range: bytes=0-1", "Cookie: me=evil", "Authorization: Basic eDp5",
			"If-None-Match: \"x", "Accept-Encoding: evil", "Cache-Control: no-store", "Pragma: no-cache",
			"X-Depends: evil",
		} {
			client := dial(t, e)
			client.send(rawGet(path, field))
			if got := client.receive(http.MethodGet); got.status != http.StatusOK || got.body != want.body ||
				strings.Contains(fmt.Sprint(got.header), "evil") {
				t.Errorf("%s: %d, header %v", field, got.status, got.header)
			}
		}
		for _, host := range []string{"evil.example", "photos.example.evil", "photos.example:1", "photos.example@evil",
			"evil.example/photos.example", "photos.example\\.evil", "PHOTOS.EXAMPLE.", "[::1]", "%0d%0a"} {
			client := dial(t, e)
			client.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			got := client.receive(http.MethodGet)
			if got.status != http.StatusOK && got.status != http.StatusBadRequest ||
				got.status == http.StatusOK && got.body != want.body {
				t.Errorf("Host: %s: %d, %.60s", host, got.status, got.body)
			}
		}
		for _, query := range []string{"?x=y", "?x=1&x=2", "?%00", "?;", "?q=evil", "?before=1", "?x=<script>"} {
			got := get(t, e, path+query)
			if got.status == http.StatusOK && (got.body != want.body || got.tier() != "near") {
				t.Errorf("%s: 200 from %s: %.60s", query, got.tier(), got.body)
			}
		}
		again := get(t, e, path)
		for _, changing := range []string{"Date", "X-Request-Id", "Server-Timing", "X-Cache"} {
			want.header.Del(changing)
			again.header.Del(changing)
		}
		if diff := cmp.Diff(want.header, again.header); diff != "" || again.body != want.body {
			t.Errorf("afterwards the page is another:\n%s", diff)
		}
	})
}

// TestDoubledParameters: of a parameter that is given twice the first counts, whatever the spelling of its name. The
// page says which. A semicolon, which some servers take for an ampersand, is refused.
func TestDoubledParameters(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		e := s.edge(onPath)
		for query, want := range map[string]string{
			"?q=a&q=b": "page.search.a", "?q=a&Q=b": "page.search.a", "?q=a&%71=b": "page.search.a",
			"?%71=a&q=b": "page.search.a", "?q=a&q[]=b": "page.search.a", "?Q=b&q=a": "page.search.a",
			"?q=a%26q=b": page.Search("a&q=b").Subject(), "?q=a;q=b": "error 400",
			"?q=a%3Bq=b": page.Search("a;q=b").Subject(),
		} {
			for range 2 {
				if got := get(t, e, "/search"+query); got.body != "<h1>"+want+"</h1>" {
					t.Errorf("%s: %d %s, want %s", query, got.status, got.body, want)
				}
			}
		}
	})
}

// TestForgedRequests: a page that takes no form takes no write, from another site or not. TestPeople has the forms.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	actions := make(chan *nats.Msg, 1)
	if _, err := s.nc.ChanSubscribe("action.>", actions); err != nil {
		t.Fatal(err)
	}
	image := page.Image("abcdefghijklmnopqrstuvwxyz", 320)
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		e := s.edge(onPath)
		for _, ref := range []page.Ref{page.Home(), page.Explore(), page.User("ansel"), page.Albums("ansel"),
			page.Photo(1),
			page.Tag("lake"), page.Tags(), page.Search("lake"), page.Album(1), page.About(), page.Feed(page.Home()),
			page.File("robots.txt"), page.Sitemap(), page.OEmbed(1, "json", 0, 0), page.Asset("app.0123abcd.css"),
			image} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				got := do(t, method, e, ref.Path(), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site",
					"Content-Type", "application/x-www-form-urlencoded", "Cookie", "session=1; me=ansel")
				if got.status != http.StatusMethodNotAllowed || got.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s: %d", method, ref.Path(), got.status)
				}
			}
		}
	})
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if len(actions) > 0 {
		t.Errorf("the action %s was asked for", (<-actions).Subject)
	}
}

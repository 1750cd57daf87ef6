package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// raw answers with these bytes and closes the connection.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(conn, text)
		conn.Close()
	}
}

// typed answers with a body of a type.
func typed(mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		fmt.Fprint(w, body)
	}
}

// Every kind of failure is found, counted once for each answer, and reported with an example.
func TestEveryKindOfFailure(t *testing.T) {
	t.Parallel()
	const begin = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
	for _, c := range []struct {
		name   string
		at     string // the path that fails
		handle http.HandlerFunc
		change func(*Config)
		kind   string
		says   string
	}{
		{name: "refused", at: "-", change: func(c *Config) { c.Dial = refuse() }, kind: kindConnect, says: "refused"},
		{
			name: "refused, HTTP/2", at: "-", change: func(c *Config) { c.Dial, c.HTTP2 = refuse(), true },
			kind: kindConnect, says: "refused",
		},
		{name: "silent", at: "/photos/ansel",
			handle: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			change: func(c *Config) { c.Timeout = 50 * time.Millisecond }, kind: kindTimeout, says: "timeout"},
		{name: "silent, HTTP/2", at: "/photos/ansel",
			handle: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			change: func(c *Config) { c.Timeout, c.HTTP2 = 50*time.Millisecond, true }, kind: kindTimeout,
			says: "deadline"},
		{name: "stalled", at: "/photos/ansel", handle: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "<html>")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, change: func(c *Config) { c.Timeout = 50 * time.Millisecond }, kind: kindTimeout, says: "6 bytes so far"},
		{name: "closed", at: "/photos/ansel", handle: raw(""), kind: kindLost, says: "EOF"},
		{name: "closed within the head", at: "/photos/ansel", handle: raw(begin), kind: kindCut, says: "head"},
		{
			name: "closed within the body", at: "/photos/ansel",
			handle: raw(begin + "Content-Length: 99\r\n\r\n<html>"), kind: kindCut, says: "6 bytes so far",
		},
		{
			name: "closed within a chunk", at: "/photos/ansel",
			handle: raw(begin + "Transfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n"), kind: kindCut,
			says: "6 bytes so far",
		},
		{
			name: "no end of the page", at: "/photos/ansel",
			handle: typed("text/html", `<html><a href="/photos/ansel">`), kind: kindCut, says: "without </html>",
		},
		{
			name: "no HTTP", at: "/photos/ansel", handle: raw("220 mail.example ready\r\n\r\n"), kind: kindMalformed,
			says: "malformed",
		},
		{name: "gzip that is none", at: "/photos/ansel", handle: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			typed("text/html", "<html></html>")(w, r)
		}, kind: kindMalformed, says: "gzip"},
		{
			name: "an encoding nobody asked for", at: "/photos/ansel",
			handle: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "br")
				typed("text/html", "<html></html>")(w, r)
			},
			kind: kindMalformed, says: `"br"`,
		},
		{
			name: "a page of another type", at: "/photos/ansel", handle: typed("text/plain", "<html></html>"),
			kind: kindType, says: "text/plain",
		},
		{
			name: "somebody else's page", at: "/photos/ansel",
			handle: typed("text/html", `<html><a href="/photos/anselm/feed"></html>`), kind: kindWrong, says: "ansel",
		},
		{name: "error page", at: "/photos/ansel", handle: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}, kind: "status 503", says: "/photos/ansel"},
		{name: "redirect", at: "/photos/ansel", handle: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/", http.StatusMovedPermanently)
		}, kind: "status 301", says: "/photos/ansel"},
		{
			name: "no such picture", at: "/img/b/320.jpg", handle: http.NotFound, kind: "status 404",
			says: "/img/b/320.jpg",
		},
		{
			name: "half a picture", at: "/img/b/320.jpg", handle: typed("image/jpeg", string(jpeg[:len(jpeg)-1])),
			kind: kindPicture, says: "16 bytes",
		},
		{
			name: "a picture that is a page", at: "/img/b/320.jpg", handle: typed("image/jpeg", "<html></html>"),
			kind: kindPicture, says: "JPEG",
		},
		{
			name: "a style sheet that is a page", at: "/static/app.0.css", handle: typed("text/html", "<html></html>"),
			kind: kindType, says: "text/css",
		},
		{
			name: "an empty script", at: "/static/app.0.js", handle: typed("text/javascript", ""), kind: kindCut,
			says: "no bytes",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == c.at {
					c.handle(w, r)
					return
				}
				serve(w, r)
			}))
			cfg := some(url, 1)
			if c.change != nil {
				c.change(&cfg)
			}
			res := mustRun(t, cfg)
			if len(res.Failures) != 1 || res.Failed != 1 || res.Failures[0].Kind != c.kind ||
				!strings.Contains(res.Failures[0].Example, c.says) {
				t.Fatalf("failures %+v; want one %q that says %q", res.Failures, c.kind, c.says)
			}
			if !strings.Contains(res.Failures[0].Example, "http://127.0.0.1:") {
				t.Errorf("the example %q does not say what was asked", res.Failures[0].Example)
			}
			var times int64
			for _, k := range res.Kinds {
				if k.Name != KindLoad {
					times += k.Times.Count
				}
			}
			if want := res.Requests - 1; c.kind != kindTimeout && times != want ||
				c.kind == kindTimeout && times != want+1 {
				t.Errorf(
					"%d latencies of %d answers: what failed has none, unless it ran into the time limit", times,
					res.Requests,
				)
			}
			if n := res.Kind(KindLoad).Times.Count; n != 0 {
				t.Errorf("%d pages are said to be complete", n)
			}
		})
	}
}

// A server may close a kept connection between two requests. Browsers repeat the request, and so does the benchmark.
func TestAKeptConnectionThatWasClosedIsNoFailure(t *testing.T) {
	t.Parallel()
	body := "<html><a href=\"/photos/ansel\"></a></html>"
	url := listen(
		t,
		raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(body), body)),
	)
	cfg := some(url, 3)
	cfg.PagesOnly, cfg.KeepConnections, cfg.VisitPages = true, true, 1
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	if res.Repeated != 2 || res.Connections != 3 || res.Pages != 3 {
		t.Errorf(
			"%d requests repeated, %d connections, %d pages; want 2, 3, 3", res.Repeated, res.Connections, res.Pages,
		)
	}
}

// A page that has changed is checked again, even if an earlier one of the same path was right.
func TestAPageThatChangesIsCheckedAgain(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 3 {
			typed("text/html", "<html>an apology</html>")(w, r)
			return
		}
		serve(w, r)
	}))
	cfg := some(url, 4)
	cfg.PagesOnly, cfg.VisitPages = true, 1
	res := mustRun(t, cfg)
	if res.Failed != 1 || res.Failures[0].Kind != kindWrong || res.Pages != 4 {
		t.Errorf("%d pages, failures %+v; want the third to be wrong", res.Pages, res.Failures)
	}
}

// A visitor whose edge refuses connections goes to another one, and stays there: what fails there is not blamed on the
// first. Without Failover it fails.
func TestAnEdgeThatCannotBeReached(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ failover, wrong bool }{
		"another edge": {true, false}, "another edge, which fails": {true, true}, "no other edge": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone, there := listen(t, http.HandlerFunc(serve)), listen(t, http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					if c.wrong {
						typed("text/html", "<html>an apology</html>")(w, r)
						return
					}
					serve(w, r)
				}))
			cfg := some(gone, 3)
			cfg.Edges = append(cfg.Edges, there)
			cfg.PagesOnly, cfg.VisitPages, cfg.Failover = true, 1, c.failover
			first := refuse()
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == strings.TrimPrefix(gone, "http://") {
					return first(ctx, network, addr)
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			res := mustRun(t, cfg)
			switch {
			case c.wrong:
				if res.Failed != 3 || !strings.Contains(res.Failures[0].Example, there) {
					t.Errorf("failures %+v, want each page to be wrong at %s", res.Failures, there)
				}
			case c.failover:
				mustBeClean(t, res)
			case res.Failed != 3 || res.Failures[0].Kind != kindConnect:
				t.Errorf("failures %+v, want that each page cannot connect", res.Failures)
			}
		})
	}
}

// A visitor with patience asks another edge for a page that does not come; the try is counted. When no edge gives it,
// the page is missing.
func TestAnEdgeThatIsSilent(t *testing.T) {
	t.Parallel()
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	lost := raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\n<html>")
	for name, c := range map[string]struct {
		edges  []http.HandlerFunc
		tries  string
		failed int64
	}{
		"another edge answers":        {[]http.HandlerFunc{silent, serve}, kindTimeout, 0},
		"another edge answers wholly": {[]http.HandlerFunc{lost, serve}, kindCut, 0},
		"none answers":                {[]http.HandlerFunc{lost, lost}, kindCut, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := some(listen(t, c.edges[0]), 1)
			cfg.Edges = append(cfg.Edges, listen(t, c.edges[1]))
			cfg.PagesOnly, cfg.VisitPages, cfg.Failover = true, 1, true
			cfg.Patience, cfg.Timeout, cfg.raceAfter = 30*time.Second, time.Minute, time.Minute
			if c.tries == kindTimeout {
				cfg.Patience = 50 * time.Millisecond
			}
			res := mustRun(t, cfg)
			if res.Failed != c.failed || res.Pages != 1 || len(res.Tries) != 1 || res.Tries[0].Kind != c.tries ||
				res.Tries[0].Count != 1 || !strings.Contains(res.Tries[0].Example, cfg.Edges[0]) {
				t.Errorf("%d of %d pages failed, %+v; failed tries %+v", res.Failed, res.Pages, res.Failures, res.Tries)
			}
		})
	}
}

// A 503 that says when to retry is counted apart, in the timeline too.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		want   int64
	}{
		"503 with Retry-After": {http.StatusServiceUnavailable, 2}, "500 with Retry-After": {500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Visitors: 1, Rate: 50, Even: true, Duration: 40 * time.Millisecond, PagesOnly: true,
				Step: 10 * time.Millisecond}
			within(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(c.status)
			}, cfg, func(t *testing.T, res *Result) {
				if res.Failed != 2 || res.Refused.Count != c.want || len(res.Series) != 4 {
					t.Fatalf("%d failed, %d refused, %d points; want 2, %d, 4", res.Failed, res.Refused.Count,
						len(res.Series), c.want)
				}
				var failed, refused int64
				for _, p := range res.Series {
					failed, refused = failed+p.Failed, refused+p.Refused
				}
				if failed != 2 || refused != c.want {
					t.Errorf("in the timeline %d failed, %d refused; want 2, %d", failed, refused, c.want)
				}
			})
		})
	}
}

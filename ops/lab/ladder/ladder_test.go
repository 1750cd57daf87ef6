package ladder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// demonstration is a database that passes for the demonstration data: its first user, and many photos of one picture.
func demonstration(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := testenv.Database(t)
	if _, err := pool.Exec(t.Context(), `
		INSERT INTO users (id, name, display_name) OVERRIDING SYSTEM VALUE VALUES (1, 'ansel', 'Ansel');
		INSERT INTO images (id, width, height, color, bytes) VALUES (repeat('a', 26), 640, 480, 0, 1);
		INSERT INTO photos (user_id, image_id, width, height, color)
			SELECT 1, id, width, height, color FROM images, generate_series(1, 3)`); err != nil {
		t.Fatal(err)
	}
	return pool
}

// indexes lists the definitions of the indexes on photos.
func indexes(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var all string
	err := pool.QueryRow(
		context.WithoutCancel(t.Context()),
		`SELECT string_agg(indexdef, '; ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'photos'`,
	).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const indexName = "photos_stream"

func TestTheIndexComesBack(t *testing.T) {
	t.Parallel()
	pool := demonstration(t)
	before := indexes(t, pool)
	if !strings.Contains(before, indexName) {
		t.Fatalf("no index to begin with: %s", before)
	}
	for _, end := range []string{"in order", "with an error", "interrupted"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		broken := errors.New("the measuring failed")
		err := withoutIndex(ctx, pool, func() error {
			if during := indexes(t, pool); strings.Contains(during, indexName) {
				t.Errorf("%s: the index is there: %s", end, during)
			}
			switch end {
			case "with an error":
				return broken
			case "interrupted":
				cancel()
				return ctx.Err()
			}
			return nil
		})
		if want := map[string]error{
			"with an error": broken, "interrupted": context.Canceled,
		}[end]; !errors.Is(err, want) {
			t.Errorf("%s: %v", end, err)
		}
		if after := indexes(t, pool); after != before {
			t.Errorf("%s: indexes are now\n%s\nand were\n%s", end, after, before)
		}
	}
}

// A ladder that was killed during the lesson leaves no index; the next one creates it first.
func TestALostIndexIsMadeAgain(t *testing.T) {
	t.Parallel()
	pool := demonstration(t)
	before := indexes(t, pool)
	if _, err := pool.Exec(t.Context(), dropIndex); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := restoreIndex(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		if after := indexes(t, pool); after != before {
			t.Errorf("indexes are now\n%s\nand were\n%s", after, before)
		}
	}
}

func TestTheLessonSparesPeoplesPhotos(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"another first user":   `UPDATE users SET name = 'alice' WHERE id = 1`,
		"a picture of its own": `DELETE FROM photos WHERE id NOT IN (SELECT min(id) FROM photos)`,
		"nobody":               `DELETE FROM photos; DELETE FROM users`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := demonstration(t)
			if _, err := pool.Exec(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			before := indexes(t, pool)
			err := withoutIndex(t.Context(), pool, func() error {
				t.Error("the index was taken away")
				return nil
			})
			if !errors.Is(err, ErrNotDemonstration) {
				t.Errorf("error %v, want that this is not the demonstration's", err)
			}
			c := &climb{cfg: Config{Pool: pool}}
			if _, err := c.lesson(t.Context()); !errors.Is(err, ErrNotDemonstration) {
				t.Errorf("error %v of the lesson", err)
			}
			if after := indexes(t, pool); after != before {
				t.Errorf("indexes are now\n%s\nand were\n%s", after, before)
			}
		})
	}
}

func TestProxyAsksInTurnAndMemcachedFirst(t *testing.T) {
	t.Parallel()
	var backends []string
	for i := range 2 {
		s := httptest.NewServer(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, i, r.URL.Path) },
		))
		t.Cleanup(s.Close)
		backends = append(backends, strings.TrimPrefix(s.URL, "http://"))
	}
	cache := testenv.Memcached(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "static"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "static", "app.css"), []byte("body {}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := fillMemcached(cache, dir); err != nil {
		t.Fatal(err)
	}
	handler, closeProxy := Serving{Backends: backends, Memcached: cache}.proxy()
	defer closeProxy()
	proxy := httptest.NewServer(handler)
	defer proxy.Close()
	get := func(path string) (body, kind string) {
		resp, err := proxy.Client().Get(proxy.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), resp.Header.Get("Content-Type")
	}
	if body, kind := get("/static/app.css"); body != "body {}" || !strings.HasPrefix(kind, "text/css") {
		t.Errorf("%q, %q: want what is in memcached", body, kind)
	}
	seen := map[string]int{}
	for range 4 {
		body, _ := get("/static/other.css")
		seen[body]++
		body, _ = get("/photos/ansel")
		seen[body]++
	}
	for body, n := range seen {
		if !strings.HasSuffix(body, ".css") && !strings.HasSuffix(body, "/ansel") {
			t.Errorf("%q %d times", body, n)
		}
	}
	for _, first := range []string{"0", "1"} {
		asked := 0
		for body, n := range seen {
			if strings.HasPrefix(body, first) {
				asked += n
			}
		}
		if asked != 4 {
			t.Errorf("the process %s was asked %d times of 8: %v", first, asked, seen)
		}
	}
}

func TestProxyConfiguration(t *testing.T) {
	t.Parallel()
	plain, cached := proxyConfig(
		"127.0.0.1:1", []string{"127.0.0.1:2", "127.0.0.1:3"}, "",
	), proxyConfig("127.0.0.1:1", []string{"127.0.0.1:2"}, "127.0.0.1:4")
	if strings.Contains(plain, "memcached") ||
		!strings.Contains(plain, "server 127.0.0.1:2 max_fails=0; server 127.0.0.1:3 max_fails=0;") {
		t.Errorf("without memcached:\n%s", plain)
	}
	if !strings.Contains(cached, "memcached_pass 127.0.0.1:4;") || !strings.Contains(cached, "listen 127.0.0.1:1;") {
		t.Errorf("with memcached:\n%s", cached)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	result := Result{User: "ansel", Proxy: "nginx", Rungs: []Rung{
		{
			Version: "0.1", What: "a CGI process", Wrong: "Beginnings.", Then: 23,
			Today: Measure{Requests: 100, Failed: 2, Failure: "status 500: a page"},
		},
		{
			Version: "1.0", What: "the bus", Wrong: "Yours.",
			Today: Measure{Requests: 30_000, Pages: 3000, P50: 1.25, P99: 9.5, Servers: 21},
		},
	}, Index: &Lesson{With: Measure{Pages: 500}, Without: Measure{Pages: 50}}, Versus: &Versus{Bytes: 7000,
		File: Spread{5, 50}, Memcached: Spread{40, 400}}}
	var b strings.Builder
	if err := result.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"0.1 2007 ", "1.0 today ", " 30000", "2 answers failed, such as: status 500: a page", "Beginnings.", "without",
		"7000 bytes",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "1.0 2007") {
		t.Errorf("1.0 was not there in 2007:\n%s", b.String())
	}
}

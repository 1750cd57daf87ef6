package ladder

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"flickrkillr/ops/lab/rig"
)

var rungMemcached = rung{
	Version: "0.4", Then: 616,
	What:  "files and thumbnails out of memcached, by the proxy",
	Wrong: "Every page is made anew for each visitor, although nothing on it has changed. A new process has to be entered in the configuration of the proxy.",
	start: func(ctx context.Context, c *climb) (*rig.Server, error) {
		if err := fillMemcached(c.cfg.Memcached, c.files); err != nil {
			return nil, err
		}
		return c.startProxied(ctx, c.cfg.Memcached)
	},
}

// memcachedConfig makes nginx look into memcached first, and ask a process for what is missing there.
const memcachedConfig = `		location ~ ^/(static|img)/ {
			set $memcached_key $uri;
			memcached_pass %s;
			error_page 404 502 504 = @site;
		}
		location @site { proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection ""; }
`

// fillMemcached puts every file in dir into memcached, with its path as the key.
func fillMemcached(addr, dir string) error {
	client := memcache.New(addr)
	client.Timeout = 5 * time.Second
	defer client.Close()
	root := os.DirFS(dir)
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if err := client.Set(&memcache.Item{Key: "/" + name, Value: body}); err != nil {
			return fmt.Errorf("put %s into memcached: %w", name, err)
		}
		return nil
	})
}

// filesFrom answers with the files that memcached has, and by next otherwise.
func filesFrom(addr string, next http.Handler) (http.Handler, func()) {
	client := memcache.New(addr)
	client.MaxIdleConns = 64
	file := func(w http.ResponseWriter, r *http.Request) {
		item, err := client.Get(r.URL.Path)
		if err != nil {
			next.ServeHTTP(w, r)
			return
		}
		http.ServeContent(w, r, path.Base(r.URL.Path), time.Time{}, bytes.NewReader(item.Value))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/static/", file)
	mux.HandleFunc("/img/", file)
	mux.Handle("/", next)
	return mux, func() { _ = client.Close() } // no request is in flight
}

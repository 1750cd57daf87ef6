package peers

import (
	"fmt"
	"os"
	"path/filepath"
)

// gzipped makes nginx say that its copies are compressed.
const gzipped = "add_header Content-Encoding gzip;"

// fileConfig answers with files below dir. All configurations here are blocks inside http {}; more is inserted inside
// server {}.
func fileConfig(addr, dir, more string) string {
	return fmt.Sprintf(`	server {
		listen %s;
		root %s;
		default_type text/html;
		%s
	}`, addr, dir, more)
}

// memcachedConfig answers with what memcached holds under the path.
func memcachedConfig(addr, memcached, more string) string {
	return fmt.Sprintf(`	upstream cache { server %s; keepalive 32; }
	server {
		listen %s;
		default_type text/html;
		location / { set $memcached_key $uri; memcached_pass cache; }
		%s
	}`, memcached, addr, more)
}

// cacheConfig caches the answers of a program, in files in dir.
func cacheConfig(addr, origin, dir string) string {
	return fmt.Sprintf(`	proxy_cache_path %s keys_zone=pages:10m;
	upstream site { server %s; keepalive 32; }
	server {
		listen %s;
		proxy_cache pages;
		proxy_cache_valid 200 1h;
		location / { proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}`, filepath.Join(dir, "cache"), origin, addr)
}

// frontConfig passes every request on to a program.
func frontConfig(addr, origin string) string {
	return fmt.Sprintf(`	upstream site { server %s; keepalive 32; }
	server {
		listen %s;
		location / { proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}`, origin, addr)
}

// putFile writes the page where fileConfig finds it.
func putFile(dir, path string, body []byte) error {
	name := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}

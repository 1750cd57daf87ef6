package ladder

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"

	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/stack"
)

var rungProxy = rung{
	Version: "0.3", Then: 217,
	What:  "processes that share nothing, behind a proxy",
	Wrong: "Of a visitor's requests, all but one are for files, and each goes through the proxy to a process whose work is making pages.",
	start: func(ctx context.Context, c *climb) (*rig.Server, error) { return c.startProxied(ctx, "") },
}

// startProxied starts the processes of 0.3 and a proxy: nginx if it is installed. If memcached is set, the proxy looks
// for files there first.
func (c *climb) startProxied(ctx context.Context, memcached string) (*rig.Server, error) {
	var all []rig.Process
	var backends []string
	for range max(2, runtime.GOMAXPROCS(0)) {
		p, addr, err := c.self(Serving{Version: versionProcess})
		if err != nil {
			return nil, err
		}
		all, backends = append(all, p), append(backends, addr)
	}
	if program, ok := rig.FindNginx(); ok && !c.cfg.NoNginx {
		addr, err := stack.ResolvePort(cmp.Or(c.cfg.Addr, anyAddr))
		if err != nil {
			return nil, err
		}
		dir, err := c.folder("nginx")
		if err != nil {
			return nil, err
		}
		nginx, err := rig.Nginx(program, dir, proxyConfig(addr, backends, memcached))
		if err != nil {
			return nil, err
		}
		c.result.Proxy = "nginx"
		return c.start(ctx, addr, append(all, nginx))
	}
	c.result.Proxy = "this program"
	proxy, addr, err := c.self(Serving{
		Version: versionProxy, Addr: c.cfg.Addr, Backends: backends, Memcached: memcached,
	})
	if err != nil {
		return nil, err
	}
	return c.start(ctx, addr, append(all, proxy))
}

// proxyConfig makes nginx distribute requests in turn, over connections that it keeps.
func proxyConfig(addr string, backends []string, memcached string) string {
	files := ""
	if memcached != "" {
		files = fmt.Sprintf(memcachedConfig, memcached)
	}
	return fmt.Sprintf(`	upstream site { server %s max_fails=0; keepalive 32; }
	server {
		listen %s;
		location / { proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection ""; }
%s	}`, strings.Join(backends, " max_fails=0; server "), addr, files)
}

// proxy is the same in Go, where nginx is not installed.
func (s Serving) proxy() (http.Handler, func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	var next atomic.Uint64
	site := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		backend := s.Backends[next.Add(1)%uint64(len(s.Backends))]
		r.SetURL(&url.URL{Scheme: "http", Host: backend})
	}}
	if s.Memcached == "" {
		return site, transport.CloseIdleConnections
	}
	files, closeFiles := filesFrom(s.Memcached, site)
	return files, func() { closeFiles(); transport.CloseIdleConnections() }
}

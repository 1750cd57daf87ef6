package peers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/klauspost/compress/gzip"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/stack"
)

// Config is the input of a comparison. All but the numbers, Logger and Progress are required.
type Config struct {
	Page  bench.Page   // the page that all caches hold
	Body  []byte       // its bytes
	Gzip  bool         // cache it compressed, as browsers accept it; uncached pages are never compressed
	Users []bench.Page // pages that are not cached; a different one each time

	// Starts a plain Go program with the same rows and views, and no cache.
	Program   func() (addr string, p rig.Process, err error)
	Ours      Ours
	Protocols *Protocols // compare these over several protocols instead, with Gzip; nil: those above
	Memcached string     // host:port

	PostgresPID, MemcachedPID int // 0: their processor time is unknown

	Visitors int           // 0 is 16
	Rounds   int           // 0 is 9
	Round    time.Duration // per server; 0 is 2 s
	Logger   *slog.Logger  // nil: silent
	Progress func(bench.Progress)
}

// Ours starts this site in the ways that are compared.
type Ours struct {
	Near      Starter // an edge with its in-process cache
	Memcached Starter // an edge without it, and a cachefill
	Together  Starter // no cache; bus, renderer and edge are one process
	Apart     Starter // no cache; they are three processes
}

// Starter starts the processes of a site, and returns the address of its edge.
type Starter func() (url string, all []rig.Process, err error)

// Names of the servers, as in targets.
const (
	nginxFile      = "nginx, a file"
	nginxMemcached = "nginx, memcached"
	nginxCache     = "nginx, proxy_cache"
	varnishCache   = "Varnish"
	oursNear       = "Flickr Killr, in-process cache"
	oursMemcached  = "Flickr Killr, memcached"
	plain          = "plain Go program"
	plainNginx     = "plain Go program behind nginx"
	oursTogether   = "Flickr Killr, one process"
	oursApart      = "Flickr Killr, separate processes"
)

// peer is one server to compare.
type peer struct {
	name      string
	protocol  protocol // "": HTTP/1.1 without TLS, the only one
	program   string   // that must be installed; "": none
	found     bool
	cold      bool   // pages of many users, each made anew
	memcached bool   // the processor time of memcached counts, too
	tier      string // expected X-Cache; "": none
	start     func(context.Context, *run) (*rig.Server, error)
	server    *rig.Server
	bytes     int // of its page, decompressed
	rounds    []bench.Result
}

// run is one comparison.
type run struct {
	cfg    Config
	dir    string
	kept   []byte // the page as it is cached
	origin string // host:port where caches get it from
	more   string // added to nginx's configuration of cached pages
	nginx  string
	peers  []*peer
}

// Run compares. When ctx ends, it returns the full rounds so far.
func Run(ctx context.Context, cfg Config) (_ *Result, err error) {
	cfg.Visitors, cfg.Rounds = cmp.Or(cfg.Visitors, 16), cmp.Or(cfg.Rounds, 9)
	cfg.Round = cmp.Or(cfg.Round, 2*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	r := &run{cfg: cfg}
	if r.dir, err = os.MkdirTemp("", "killr-peers-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if err := os.Chmod(r.dir, 0o755); err != nil { // nginx's workers run as another user
		return nil, err
	}
	if cfg.Protocols != nil {
		r.listProtocols()
	} else {
		closeOrigin, err := r.serveOrigin()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, closeOrigin()) }()
		r.list()
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.startAll(ctx); err != nil {
		return nil, err
	}
	for n := range cfg.Rounds {
		cfg.Logger.Info("comparing", "round", n+1, "of", cfg.Rounds)
		for _, p := range r.peers {
			if p.server == nil {
				continue
			}
			if err := r.visit(ctx, p); err != nil {
				return r.result(n), fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return r.result(cfg.Rounds), nil
}

// list lists the servers, with how to start them.
func (r *run) list() {
	var nginx, varnishd bool
	r.nginx, nginx = rig.FindNginx()
	varnishProgram, varnishd := findVarnish()
	r.peers = []*peer{
		{
			name: nginxFile, program: "nginx", found: nginx,
			start: func(ctx context.Context, r *run) (*rig.Server, error) {
				return r.startNginx(ctx, nil, func(addr, dir string) (string, error) {
					files := filepath.Join(dir, "files")
					return fileConfig(addr, files, r.more), putFile(files, r.cfg.Page.Path, r.kept)
				})
			},
		},
		{
			name: nginxMemcached, program: "nginx", found: nginx, memcached: true,
			start: func(ctx context.Context, r *run) (*rig.Server, error) {
				return r.startNginx(ctx, nil, func(addr, _ string) (string, error) {
					return memcachedConfig(addr, r.cfg.Memcached, r.more), r.putMemcached()
				})
			},
		},
		{
			name: nginxCache, program: "nginx", found: nginx,
			start: func(ctx context.Context, r *run) (*rig.Server, error) {
				return r.startNginx(ctx, nil, func(addr, dir string) (string, error) {
					return cacheConfig(addr, r.origin, dir), nil
				})
			},
		},
		{
			name: varnishCache, program: "varnishd", found: varnishd,
			start: func(ctx context.Context, r *run) (*rig.Server, error) {
				return r.startVarnish(ctx, varnishProgram)
			},
		},
		{name: oursNear, found: true, tier: "near", start: ours(func(o Ours) Starter { return o.Near })},
		{
			name: oursMemcached, found: true, memcached: true, tier: "memcached",
			start: ours(func(o Ours) Starter { return o.Memcached }),
		},
		{
			name: plain, found: true, cold: true,
			start: func(ctx context.Context, r *run) (*rig.Server, error) {
				addr, p, err := r.cfg.Program()
				if err != nil {
					return nil, err
				}
				return r.put(ctx, "http://"+addr, p)
			},
		},
		{
			name: plainNginx, program: "nginx", found: nginx, cold: true,
			start: func(ctx context.Context, r *run) (*rig.Server, error) {
				origin, p, err := r.cfg.Program()
				if err != nil {
					return nil, err
				}
				return r.startNginx(ctx, []rig.Process{p}, func(addr, _ string) (string, error) {
					return frontConfig(addr, origin), nil
				})
			},
		},
		{
			name: oursTogether, found: true, cold: true, tier: "render",
			start: ours(func(o Ours) Starter { return o.Together }),
		},
		{
			name: oursApart, found: true, cold: true, tier: "render",
			start: ours(func(o Ours) Starter { return o.Apart }),
		},
	}
}

func ours(which func(Ours) Starter) func(context.Context, *run) (*rig.Server, error) {
	return func(ctx context.Context, r *run) (*rig.Server, error) {
		url, all, err := which(r.cfg.Ours)()
		if err != nil {
			return nil, err
		}
		return r.put(ctx, url, all...)
	}
}

// put starts processes that answer at url.
func (r *run) put(ctx context.Context, url string, all ...rig.Process) (*rig.Server, error) {
	return rig.Start(ctx, rig.Config{URL: url, Probe: r.cfg.Page.Path, Processes: all, Logger: r.cfg.Logger})
}

// startNginx starts nginx, configured for its address and a folder of its own, after the processes of before.
func (r *run) startNginx(
	ctx context.Context, before []rig.Process, configure func(addr, dir string) (string, error),
) (*rig.Server, error) {
	return r.startNginxAt(ctx, false, before, configure)
}

func (r *run) startNginxAt(
	ctx context.Context, secure bool, before []rig.Process, configure func(addr, dir string) (string, error),
) (*rig.Server, error) {
	dir, addr, err := r.place("nginx")
	if err != nil {
		return nil, err
	}
	blocks, err := configure(addr, dir)
	if err != nil {
		return nil, err
	}
	p, err := rig.Nginx(r.nginx, dir, blocks)
	if err != nil {
		return nil, err
	}
	scheme := map[bool]string{false: "http://", true: "https://"}[secure]
	return r.put(ctx, scheme+addr, append(before, p)...)
}

func (r *run) startVarnish(ctx context.Context, program string) (*rig.Server, error) {
	dir, addr, err := r.place("varnish")
	if err != nil {
		return nil, err
	}
	v, err := varnish(program, dir, addr, r.origin)
	if err != nil {
		return nil, err
	}
	return r.put(ctx, "http://"+addr, v)
}

// place makes a folder and finds a free port.
func (r *run) place(name string) (dir, addr string, err error) {
	if addr, err = stack.ResolvePort("127.0.0.1:0"); err != nil {
		return "", "", err
	}
	if dir, err = os.MkdirTemp(r.dir, name+"-"); err != nil {
		return "", "", err
	}
	return dir, addr, os.Chmod(dir, 0o755)
}

func (r *run) putMemcached() error {
	client := memcache.New(r.cfg.Memcached)
	client.Timeout = 5 * time.Second
	defer client.Close()
	return client.Set(&memcache.Item{Key: r.cfg.Page.Path, Value: r.kept})
}

func (r *run) startAll(ctx context.Context) (err error) {
	for _, p := range r.peers {
		if !p.found {
			r.cfg.Logger.Warn("not compared", "peer", p.name, "missing", p.program)
			continue
		}
		if p.server, err = p.start(ctx, r); err != nil {
			return fmt.Errorf("%s %s: %w", p.name, p.protocol, err)
		}
		if err := r.compare(ctx, p); err != nil {
			return fmt.Errorf("%s %s: %w", p.name, p.protocol, err)
		}
	}
	return nil
}

// compare checks that a server serves the page, byte for byte.
func (r *run) compare(ctx context.Context, p *peer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server.URL()+r.cfg.Page.Path, nil)
	if err != nil {
		return err
	}
	accept := "identity"
	if r.compressed(p) {
		accept = "gzip"
	}
	req.Header.Set("Accept-Encoding", accept)
	transport := &http.Transport{DisableKeepAlives: true, Protocols: new(http.Protocols),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // it has just been made here
	transport.Protocols.SetHTTP1(p.protocol != h2TLS)
	transport.Protocols.SetHTTP2(p.protocol == h2TLS)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if spoken := resp.ProtoMajor == 2; spoken != (p.protocol == h2TLS) || (resp.TLS != nil) != p.protocol.secure() {
		return fmt.Errorf("an answer by %s, within TLS: %v", resp.Proto, resp.TLS != nil)
	}
	sent, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var body io.Reader = bytes.NewReader(sent)
	if r.compressed(p) {
		if body, err = gzip.NewReader(body); err != nil {
			return fmt.Errorf("an answer that is not compressed: %w", err)
		}
		if r.kept == nil {
			r.kept = sent
		} else if p.protocol != "" && !bytes.Equal(sent, r.kept) {
			return fmt.Errorf("a page compressed to %d bytes instead of the same %d", len(sent), len(r.kept))
		}
	}
	page, err := io.ReadAll(body)
	if err == nil && !bytes.Equal(page, r.cfg.Body) {
		err = fmt.Errorf("a different page: %d bytes instead of %d", len(page), len(r.cfg.Body))
	}
	p.bytes = len(page)
	return err
}

// compressed reports whether a server is asked for compressed pages.
func (r *run) compressed(p *peer) bool { return r.cfg.Gzip && !p.cold }

func (r *run) stop() error {
	var errs []error
	for _, p := range r.peers {
		if p.server != nil {
			errs = append(errs, p.server.Stop())
		}
	}
	return errors.Join(errs...)
}

// visit is one peer's part of a round.
func (r *run) visit(ctx context.Context, p *peer) error {
	cfg := bench.Config{Edges: []string{p.server.URL()}, Pages: []bench.Page{r.cfg.Page}, Seed: uint64(len(p.rounds)),
		Visitors: r.cfg.Visitors, VisitPages: 1,
		PagesOnly: true, KeepConnections: true, Identity: !r.compressed(p), Warmup: r.cfg.Round / 4,
		Duration: r.cfg.Round, Servers: p.server.Processes(), Progress: r.cfg.Progress}
	if p.cold {
		cfg.Pages = r.cfg.Users
	}
	if p.protocol == h2TLS {
		cfg.HTTP2, cfg.Streams, cfg.Visitors = true, streams, streams*r.cfg.Visitors
	}
	if p.cold && r.cfg.PostgresPID != 0 {
		cfg.Servers = append(cfg.Servers, bench.Server{Name: postgres, PID: r.cfg.PostgresPID})
	}
	if p.memcached && r.cfg.MemcachedPID != 0 {
		cfg.Servers = append(cfg.Servers, bench.Server{Name: "memcached", PID: r.cfg.MemcachedPID})
	}
	res, err := bench.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if res.Interrupted {
		return context.Cause(ctx)
	}
	p.rounds = append(p.rounds, *res)
	return nil
}

package ladder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/templates"
)

// Config is the input of a ladder. Postgres, Pool, Pictures, Memcached, Program and one of Running and Roles are
// required.
type Config struct {
	Postgres string        // URL of the database
	Pool     *pgxpool.Pool // on it, without time limits for statements
	Pictures pictures.Store
	// this program and its command that calls Serve or ServePage; a version or "page" is appended
	Program []string

	Memcached                 string // host:port of one that no other client uses
	PostgresPID, MemcachedPID int    // 0: their processor time is unknown

	Running    string // http://host:port of an edge of a running site on the same database, as the last rung; or
	RunningPID int
	Roles      func() (url string, roles []rig.Process, err error) // starts one

	Addr     string        // where a version listens, host:port; "": a free port; the last rung uses its own
	User     string        // whose page is requested; "" is ansel
	Visitors int           // at once; 0 is 16
	Each     time.Duration // per measurement; 0 is 10 s
	NoNginx  bool          // use a proxy in Go even if nginx is installed
	Logger   *slog.Logger  // nil: silent
	Progress func(bench.Progress)
}

// rung is one version of the site.
type rung struct {
	Version string
	What    string
	Then    float64 // requests per second in 2007; 0: it did not exist
	Wrong   string  // what is wrong with this picture
	start   func(context.Context, *climb) (*rig.Server, error)
}

var rungs = []*rung{&rungCGI, &rungProcess, &rungProxy, &rungMemcached, &rungBus}

// climb is one run of the ladder.
type climb struct {
	cfg    Config
	dir    string // removed at the end
	files  string // below dir
	page   string // its path
	result *Result
}

// Run measures all rungs. When ctx ends it returns the rungs so far, and an error that wraps that of ctx.
func Run(ctx context.Context, cfg Config) (_ *Result, err error) {
	c, err := begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	body, err := MakePage(ctx, c.cfg.Pool, page.User(c.cfg.User)) // to know what it needs
	if err != nil {
		return nil, err
	}
	c.result.PageBytes, c.result.Page = len(body), checksum(body)
	pictures, err := picturesOf(body)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, pictures); err != nil {
		return nil, err
	}
	for _, r := range rungs {
		c.cfg.Logger.Info("rung", "version", r.Version, "what", r.What)
		m, served, err := c.measureRung(ctx, r)
		if err != nil {
			return c.result, fmt.Errorf("rung %s: %w", r.Version, err)
		}
		c.result.Rungs = append(
			c.result.Rungs,
			Rung{Version: r.Version, What: r.What, Wrong: r.Wrong, Then: r.Then, Today: m, Served: served},
		)
	}
	if c.result.Index, err = c.lesson(ctx); err != nil {
		return c.result, fmt.Errorf("the index lesson: %w", err)
	}
	c.result.Versus, err = versus(ctx, c.files, c.cfg.Memcached)
	return c.result, err
}

// begin applies the defaults of cfg and makes the temporary folder. end must follow.
func begin(ctx context.Context, cfg Config) (*climb, error) {
	cfg.User, cfg.Visitors = cmp.Or(cfg.User, "ansel"), cmp.Or(cfg.Visitors, 16)
	cfg.Each = cmp.Or(cfg.Each, 10*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if err := restoreIndex(ctx, cfg.Pool); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "killr-ladder-")
	if err != nil {
		return nil, err
	}
	c := &climb{cfg: cfg, dir: dir, files: filepath.Join(dir, "files"), page: page.User(cfg.User).Path(),
		result: &Result{Began: time.Now(), User: cfg.User, Visitors: cfg.Visitors, Seconds: cfg.Each.Seconds()}}
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers run as another user
		return nil, errors.Join(err, c.end())
	}
	return c, nil
}

// end removes the temporary folder.
func (c *climb) end() error { return os.RemoveAll(c.dir) }

func (c *climb) prepare(ctx context.Context, pictures []page.Ref) error {
	c.cfg.Logger.Info("making files and thumbnails", "count", len(pictures))
	pages, err := maker(ctx, c.cfg.Pool)
	if err != nil {
		return err
	}
	images, err := pages.Files(ctx, pictures)
	if err != nil {
		return err
	}
	return prepare(ctx, c.files, pictures, images, c.cfg.Pictures)
}

// maker makes pages, as all versions of the site do.
func maker(ctx context.Context, pool *pgxpool.Pool) (*renderer.Pages, error) {
	assets, err := templates.LoadAssets()
	if err != nil {
		return nil, err
	}
	return renderer.OpenPages(ctx, store.New(pool), templates.Site{Assets: assets}, time.Now)
}

// MakePage renders a page, which must exist, as all versions of the site do.
func MakePage(ctx context.Context, pool *pgxpool.Pool, ref page.Ref) ([]byte, error) {
	pages, err := maker(ctx, pool)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	reply, err := pages.Make(ctx, ref, &body)
	if err == nil && reply.Status != http.StatusOK {
		err = fmt.Errorf("%s has the status %d", ref.Path(), reply.Status)
	}
	return body.Bytes(), err
}

// measureRung starts a rung, measures it, and stops it.
func (c *climb) measureRung(ctx context.Context, r *rung) (m Measure, served Served, err error) {
	server, err := r.start(ctx, c)
	if err != nil {
		return m, served, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if served, err = c.check(ctx, server.URL()); err != nil {
		return m, served, err
	}
	processes := server.Processes()
	if r == &rungBus && c.cfg.Running != "" {
		processes = []bench.Server{{Name: "up", PID: c.cfg.RunningPID}} // which includes its Postgres and memcached
	} else {
		processes = c.withServices(processes, r == &rungMemcached || r == &rungBus)
	}
	m, err = c.visit(ctx, server.URL(), processes, false)
	return m, served, err
}

// withServices adds the processes of Postgres, and of memcached where it is used.
func (c *climb) withServices(processes []bench.Server, memcached bool) []bench.Server {
	if c.cfg.PostgresPID != 0 {
		processes = append(processes, bench.Server{Name: postgres, PID: c.cfg.PostgresPID})
	}
	if memcached && c.cfg.MemcachedPID != 0 {
		processes = append(processes, bench.Server{Name: "memcached", PID: c.cfg.MemcachedPID})
	}
	return processes
}

// visit measures how visitors request the page repeatedly.
func (c *climb) visit(ctx context.Context, url string, processes []bench.Server, pagesOnly bool) (Measure, error) {
	cfg := bench.Config{Edges: []string{url}, Pages: []bench.Page{{Path: c.page, User: c.cfg.User}},
		Visitors: c.cfg.Visitors, VisitPages: 1,
		KeepConnections: true, Warmup: c.cfg.Each / 5, Duration: c.cfg.Each, PagesOnly: pagesOnly, Servers: processes,
		Progress: c.cfg.Progress}
	res, err := bench.Run(ctx, cfg)
	if err != nil {
		return Measure{}, err
	}
	if res.Interrupted {
		return Measure{}, context.Cause(ctx)
	}
	return measured(res), nil
}

// self is this program serving one version, on s.Addr or on a free port.
func (c *climb) self(s Serving) (p rig.Process, addr string, err error) {
	if addr, err = stack.ResolvePort(cmp.Or(s.Addr, anyAddr)); err != nil {
		return p, "", err
	}
	args := append([]string{}, c.cfg.Program[1:]...)
	args = append(args, s.Version, "--addr", addr, "--files", c.files)
	if len(s.Backends) > 0 {
		args = append(args, "--backend", strings.Join(s.Backends, ","))
	}
	if s.Memcached != "" {
		args = append(args, "--cache", s.Memcached)
	}
	// Not an argument, because every user of the machine can read those.
	database := "DATABASE_URL=" + cmp.Or(s.Postgres, c.cfg.Postgres)
	return rig.Process{Name: "killr " + s.Version, Ready: "http://" + addr + c.page, Command: func() *exec.Cmd {
		cmd := exec.Command(c.cfg.Program[0], args...)
		cmd.Env = append(os.Environ(), database)
		cmd.Stderr = os.Stderr
		return cmd
	}}, addr, nil
}

func (c *climb) startSelf(ctx context.Context, s Serving) (*rig.Server, error) {
	s.Addr = c.cfg.Addr
	p, addr, err := c.self(s)
	if err != nil {
		return nil, err
	}
	return c.start(ctx, addr, []rig.Process{p})
}

func (c *climb) start(ctx context.Context, addr string, processes []rig.Process) (*rig.Server, error) {
	return rig.Start(ctx, rig.Config{URL: "http://" + addr, Probe: c.page, Processes: processes, Logger: c.cfg.Logger})
}

// folder makes an empty folder whose name begins with name.
func (c *climb) folder(name string) (string, error) {
	dir, err := os.MkdirTemp(c.dir, name+"-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

const anyAddr = "127.0.0.1:0"

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/lab/ladder"
	"flickrkillr/ops/lab/report"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

type ladderCommand struct {
	User     string  `default:"ansel" placeholder:"NAME" help:"User whose page is fetched (default ${default})."`
	Visitors int     `default:"16" min:"1" max:"100000" placeholder:"N" help:"Concurrent visitors, each of whom waits for a page before the next (default ${default})."`
	Seconds  float64 `default:"10" min:"0.01" max:"86400" placeholder:"N" help:"Time to measure each design, in seconds (default ${default})."`
	Nginx    bool    `default:"true" negatable:"" help:"Use nginx as the proxy of 0.3 and 0.4 if it is installed (default: yes); otherwise a proxy written in Go."`
	Scale    bool    `help:"Instead: measure 1, 2, 4 and 8 renderers while each query takes 20 ms longer."`
	Own      bool    `help:"Use a small database of its own even while 'up' runs (without a running 'up' it always does)."`
	Photos   int     `default:"100000" min:"100" max:"100000000" placeholder:"N" help:"Photos in the database of its own (default ${default})."`
	JSON     bool    `name:"json" help:"Print the result as JSON instead of a table."`
	Report   string  `type:"path" placeholder:"FILE" help:"Also write the result, with plots, to this HTML file."`
	Serve    string  `placeholder:"VERSION" help:"Measure nothing: serve one version, 0.1 to 0.4 or 1.0, until Ctrl-C, to view it in a browser."`
	Addr     string  `default:"127.0.0.1:8087" placeholder:"HOST:PORT" help:"With --serve: listen here (default ${default}). Version 1.0 of a running 'up' is served by its edge."`
}

// Sizes of the pictures in a database of its own: few and small, since only one page is fetched.
const (
	ladderOriginals = 12
	ladderLong      = 480
)

func (c *ladderCommand) Run(s *session) error {
	if c.Serve != "" {
		if err := errors.Join(ladder.CheckVersion(c.Serve), stack.CheckPort("ladder", c.Addr)); err != nil {
			return advise(err)
		}
	}
	if c.Scale {
		return c.scaleOwn(s)
	}
	if pid, ok := stack.Holder(s.data); ok && !c.Own {
		return c.climbRunning(s, pid)
	}
	return c.climbOwn(s)
}

// climbRunning uses the database of the running `up`; its edges are the last rung.
func (c *ladderCommand) climbRunning(s *session, pid int) (err error) {
	env, err := stack.ReadEnv(s.data)
	if err != nil {
		return err
	}
	if len(env.Edges) == 0 {
		return fmt.Errorf("`killr up` in %s is still starting", s.data)
	}
	memcached, err := stack.StartMemcached(s.ctx, stack.MemcachedConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memcached.Stop()) }()
	return c.climb(
		s,
		filepath.Join(s.data, "pictures"),
		ladder.Config{Postgres: env.Postgres, PostgresPID: childNamed(pid, "postgres"), Memcached: memcached.Addr(),
			Running: env.Edges[0], RunningPID: pid},
	)
}

// climbOwn uses a database that is removed afterwards.
func (c *ladderCommand) climbOwn(s *session) (err error) {
	own, err := s.openSandbox(
		"ladder",
		false,
		seed.Config{Users: c.Photos / 10, Photos: c.Photos, Originals: ladderOriginals, Long: ladderLong},
	)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Stop()) }()
	return c.climb(
		s,
		picturesOf(own),
		ladder.Config{Postgres: own.Env().Postgres, PostgresPID: childNamed(os.Getpid(), "postgres"),
			Memcached: own.Env().Memcached[0], Roles: func() (string, []rig.Process, error) {
				return measured{roleCounts: roleCounts{renderers: 2, cachefills: 1, edges: 1}}.processes(own)
			}},
	)
}

func (c *ladderCommand) climb(s *session, originals string, cfg ladder.Config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	images, err := pictures.OpenDir(originals)
	if err != nil {
		return err
	}
	cfg.Pictures, cfg.Program, cfg.MemcachedPID = images, []string{self, "rung"}, childNamed(os.Getpid(), "memcached")
	cfg.User, cfg.Visitors, cfg.Each = c.User, c.Visitors, time.Duration(c.Seconds*float64(time.Second))
	cfg.NoNginx, cfg.Logger, cfg.Progress = !c.Nginx, s.log, s.logProgress()
	var result *ladder.Result
	err = withPool(s.ctx, cfg.Postgres, func(pool *pgxpool.Pool) (err error) {
		cfg.Pool = pool
		if c.Serve != "" {
			cfg.Addr = c.Addr
			return ladder.ServeRung(s.ctx, cfg, c.Serve, func(url string) {
				fmt.Fprintf(s.stdout, "%s is at %s%s (Ctrl-C stops it)\n", c.Serve, url, page.User(c.User).Path())
			})
		}
		result, err = ladder.Run(s.ctx, cfg)
		return err
	})
	err = errors.Join(err, images.Close())
	if result == nil {
		return err
	}
	return errors.Join(err, c.show(s, result))
}

// show prints a result and writes its report.
func (c *ladderCommand) show(s *session, result interface {
	WriteTable(io.Writer) error
	Report() report.Page
}) (err error) {
	if c.JSON {
		err = writeJSON(s.stdout, result)
	} else {
		err = result.WriteTable(s.stdout)
	}
	if c.Report != "" {
		err = errors.Join(err, result.Report().WriteFile(c.Report))
	}
	return err
}

// childNamed is the id of the first process with this program name that root has started; 0 if there is none.
func childNamed(root int, name string) int {
	tree, err := cputime.Tree(root)
	if err != nil {
		return 0 // its processor time is then not shown
	}
	for _, p := range tree {
		if p.Parent == root && p.Command == name {
			return p.PID
		}
	}
	return 0
}

// rungCommand is a process of the ladder: the program starts itself with it.
type rungCommand struct {
	Version  string   `arg:"" help:"What to serve: 0.1, 0.2, proxy, kept, or page, which is a CGI program."`
	Addr     string   `placeholder:"HOST:PORT" help:"Where to listen."`
	Files    string   `type:"path" placeholder:"DIR" help:"Files and thumbnails, under the paths by which they are asked for."`
	Backend  []string `placeholder:"HOST:PORT" help:"A process behind the proxy; repeat it for each."`
	Cache    string   `placeholder:"HOST:PORT" help:"A memcached that the proxy takes files from."`
	Postgres string   `env:"DATABASE_URL" placeholder:"URL" help:"The database."`
	Kept     string   `type:"path" placeholder:"FILE" help:"The page of kept, compressed by gzip."`
	TLSCert  string   `type:"path" placeholder:"FILE" help:"Serve HTTPS with this certificate, in PEM."`
	TLSKey   string   `type:"path" placeholder:"FILE" help:"Key of the certificate, in PEM."`
}

func (c *rungCommand) Run(s *session) error {
	if c.Version == "page" {
		return ladder.ServePage(s.ctx, c.Postgres)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return ladder.Serve(
		s.ctx,
		ladder.Serving{Version: c.Version, Addr: c.Addr, Postgres: c.Postgres, Files: c.Files, Backends: c.Backend,
			Memcached: c.Cache, Page: []string{self, "rung", "page"}, Kept: c.Kept, Certificate: c.TLSCert,
			Key: c.TLSKey},
	)
}

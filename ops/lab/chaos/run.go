package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/mutant"
	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
)

// Config is the input of a run. Pages, Rows, and Stack or Running are required.
type Config struct {
	Stack    *stack.Stack // with a seeded database; for machines without a bus
	Running  *Running     // instead of Stack: rows of [OnRunning] are run on this site, without Control
	Pictures string       // directory of the picture store
	S3Server string       // the program of an S3 server, for rows that need one, see [NeedS3]
	Pages    Pages
	Rows     []Row

	Rate     float64       // pages per second, 0 is 500
	Duration time.Duration // of each row, 0 is a minute
	Control  bool          // run each row's control after it
	Source   string        // root of the source tree, which mutants are built from; needed by some controls
	Program  string        // that is deployed to machines; needed by their rows
	// Fill gives the database of machines the rows that Stack has. Needed by their rows.
	Fill func(context.Context, *pgxpool.Pool) error

	Env      []string  // added to the environment of the roles
	Output   io.Writer // what the roles print; nil: nowhere
	Logger   *slog.Logger
	Progress func(bench.Progress) // called about once a second, never concurrently
}

// warmup is how long a row's site is loaded before anything counts.
const warmup = 5 * time.Second

// visitors is how many pages of a load are on their way at once, at most. Two loads stay below edge --address-conns.
const visitors = 1000

// step is what one point of a timeline stands for.
const step = 100 * time.Millisecond

// Run runs the rows one after another, until ctx ends: then it returns what it has. An interrupted run is no error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if len(cfg.Pages.Users) == 0 {
		return nil, errors.New("chaos: there are no pages to visit")
	}
	cfg.Rate, cfg.Duration = cmp.Or(cfg.Rate, 500), cmp.Or(cfg.Duration, time.Minute)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Output = cmp.Or(cfg.Output, io.Discard)
	res := &Result{Began: time.Now(), Rate: cfg.Rate, Duration: cfg.Duration.Seconds(),
		Machines: cfg.Rows[0].Setup.Machines}
	mutants := mutantBuilder{cfg: &cfg, built: map[string]string{}}
	for n, row := range cfg.Rows {
		if ctx.Err() != nil {
			break
		}
		cfg.Logger.Info("row", "name", row.Name, "number", n+1, "of", len(cfg.Rows))
		setup, err := mutants.complete(ctx, row.Setup)
		if err != nil {
			res.add(ctx, Outcome{Row: row.Name, Err: err.Error()}, cfg.Logger)
			continue
		}
		res.add(ctx, cfg.run(ctx, row, setup, ""), cfg.Logger)
		if !cfg.Control || ctx.Err() != nil {
			continue
		}
		cfg.Logger.Info("control", "name", row.Name, "without", row.Control.Off)
		if setup, err = mutants.without(ctx, row.Control, row.Setup); err != nil {
			res.add(ctx, Outcome{Row: row.Name, Without: row.Control.Off, Err: err.Error()}, cfg.Logger)
			continue
		}
		res.add(ctx, cfg.run(ctx, row, setup, row.Control.Off), cfg.Logger)
	}
	res.Interrupted = ctx.Err() != nil
	return res, nil
}

// mutantBuilder builds each changed program once: several rows have the same control.
type mutantBuilder struct {
	cfg   *Config
	built map[string]string // paths by edits
}

// without is the setup of a control.
func (m *mutantBuilder) without(ctx context.Context, c Control, setup Setup) (Setup, error) {
	if c.Setup != nil {
		c.Setup(&setup)
	}
	setup.Edits = slices.Concat(setup.Edits, c.Edits)
	return m.complete(ctx, setup)
}

// complete is a setup with the path of its program.
func (m *mutantBuilder) complete(ctx context.Context, setup Setup) (Setup, error) {
	if len(setup.Edits) == 0 {
		return setup, nil
	}
	edits := fmt.Sprint(setup.Edits)
	if m.built[edits] == "" {
		program, err := m.build(ctx, setup.Edits)
		if err != nil {
			return setup, err
		}
		m.built[edits] = program
	}
	setup.program = m.built[edits]
	return setup, nil
}

func (m *mutantBuilder) build(ctx context.Context, edits []mutant.Edit) (string, error) {
	if m.cfg.Source == "" {
		return "", errors.New("its program is built from the source tree, with Go")
	}
	dir, err := os.MkdirTemp(m.cfg.Stack.Dir(), "mutant-")
	if err != nil {
		return "", err
	}
	return mutant.Build(ctx, m.cfg.Source, dir, edits)
}

// run runs a row, or its control, on a site of its own.
func (cfg *Config) run(ctx context.Context, row Row, setup Setup, without string) (out Outcome) {
	out = Outcome{Row: row.Name, Without: without, Visitor: row.Visitor, Why: row.Why, Began: time.Now()}
	on := &scene{stack: cfg.Stack, setup: setup, log: cfg.Logger}
	err := cfg.start(ctx, on)
	if err == nil {
		act := cfg.visit
		switch {
		case row.Setup.Machines > 0:
			act = cfg.visitAndWrite
		case row.Writes:
			act = cfg.write
		}
		err = act(ctx, row, on, &out)
	}
	if err == nil && on.people != nil && ctx.Err() == nil {
		out.Pictures, err = on.settle(ctx)
	}
	if err == nil && row.Trust {
		out.Distrust, err = on.distrust(ctx)
	}
	if err = errors.Join(err, on.stop()); err != nil && ctx.Err() == nil {
		out.Err = err.Error()
	}
	out.compare(row)
	return out
}

// start starts the roles of a setup and waits until they are ready.
func (cfg *Config) start(ctx context.Context, on *scene) error {
	if cfg.Running != nil {
		cfg.Running.join(on)
		return nil
	}
	if on.setup.Machines > 0 {
		return cfg.startFleet(ctx, on)
	}
	if err := cfg.Stack.RestartMemcached(ctx); err != nil { // empty for each row
		return err
	}
	services, args := cfg.Stack.Env(), []string{"--no-access-log"}
	if on.setup.NoNear {
		args = append(args, "--near-cache", "0")
	}
	args = append(args, on.setup.EdgeArgs...)
	if on.setup.NoMemcached {
		services.Memcached = nil
	}
	var err error
	if services.Postgres, err = on.database(services.Postgres); err != nil {
		return err
	}
	if services.NATS, err = on.through(on.setup.Bus, services.NATS); err != nil {
		return err
	}
	envOf, err := cfg.startBus(ctx, on, &services)
	if err != nil {
		return err
	}
	on.at = services
	pictures, err := cfg.startBucket(ctx, on)
	if err != nil {
		return err
	}
	config := site.Config{
		Services: services, Pictures: pictures, Logger: slog.New(slog.DiscardHandler),
		Addr: "127.0.0.1:0", DebugAddr: "127.0.0.1:0",
		Processes: &site.ProcessConfig{
			Program: on.setup.program,
			Data:    filepath.Join(cfg.Stack.Dir(), "roles"), // without a stack.env: the services are those given
			Args:    []string{"--log-level", "error"}, EdgeArgs: args,
			Env: slices.Concat(cfg.Env, on.setup.Env), EnvOf: envOf, Output: cfg.Output,
			Share: 1 + on.setup.Renderers + on.setup.Edges + on.setup.Cachefills,
		},
	}
	config.Renderer.Replicas = on.setup.BusServers
	on.site = site.New(config)
	err = errors.Join(
		on.site.Add(site.Renderer, on.setup.Renderers), on.site.Add(site.Cachefill, on.setup.Cachefills),
		on.site.Add(site.Edge, on.setup.Edges),
	)
	if err != nil {
		return err
	}
	on.edges = on.site.URLs()
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return on.site.WaitReady(waiting)
}

// database is how renderers of a setup connect to the database at an address.
func (s *scene) database(addr string) (string, error) {
	addr, err := s.through(scale.Line{There: s.setup.SlowQueries}, addr)
	if err != nil || !s.setup.NoSync {
		return addr, err
	}
	u, err := url.Parse(addr)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("synchronous_commit", "off")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// through is the address of a service at the other end of a line.
func (s *scene) through(line scale.Line, addr string) (string, error) {
	u, err := url.Parse(addr)
	if err != nil || line == (scale.Line{}) {
		return addr, err
	}
	delay, err := scale.Listen(u.Host, line)
	if err != nil {
		return "", err
	}
	s.lines = append(s.lines, delay)
	u.Host = delay.Addr()
	return u.String(), nil
}

// visit loads the site of a row and injects its fault meanwhile.
func (cfg *Config) visit(ctx context.Context, row Row, on *scene, out *Outcome) error {
	warm := min(warmup, cfg.Duration/2)
	edges, rate := on.edges, cfg.Rate
	if row.Overload > 0 {
		peak, err := cfg.peak(ctx, row.Loads[0], edges)
		if err != nil || peak == 0 {
			return errors.Join(err, errors.New("the site serves no page before it is overloaded"))
		}
		out.Peak, rate = peak, row.Overload*peak
	}
	pages := cfg.Pages
	if on.bucket != nil {
		var err error
		if pages.pictures, err = findPictures(ctx, pages.Users, edges[0]); err != nil {
			return err
		}
		if on.people, err = signUp(ctx, edges); err != nil {
			return err
		}
	}
	for _, l := range row.Loads {
		if err := l.know(ctx, pages, edges); err != nil {
			return err
		}
	}
	start := time.Now().Add(warm)
	seen := make([]*bench.Result, len(row.Loads))
	changing, stop := context.WithCancel(ctx)
	var changes errgroup.Group
	changes.Go(func() error { return on.change(changing, row.Changes) })
	if on.people != nil {
		changes.Go(func() error { return on.people.run(changing) })
	}
	loads, ctx := errgroup.WithContext(ctx)
	for i, l := range row.Loads {
		loads.Go(func() (err error) {
			b := l.config(cfg, pages, edges)
			if l.LastEdge {
				b.Edges = edges[len(edges)-1:]
			}
			b.Rate, b.Warmup = rate*cmp.Or(l.Share, 1), warm
			if i == 0 {
				b.Progress = cfg.Progress
			}
			seen[i], err = bench.Run(ctx, b)
			return err
		})
	}
	out.Faults = row.Fault.inject(ctx, on, start, cfg.Duration)
	err := loads.Wait()
	stop()
	err = errors.Join(err, changes.Wait())
	for i, l := range row.Loads {
		if seen[i] != nil {
			out.Loads = append(out.Loads, newSeen(l, seen[i]))
		}
	}
	return err
}

// peak is how many pages a second visitors get who each wait for their page. Refusals are none.
func (cfg *Config) peak(ctx context.Context, l Load, edges []string) (float64, error) {
	b := l.config(cfg, cfg.Pages, edges)
	b.Visitors, b.Warmup, b.Duration = 24, time.Second, min(5*time.Second, cfg.Duration)
	res, err := bench.Run(ctx, b)
	if err != nil {
		return 0, err
	}
	return newSeen(l, res).Right, nil
}

// know asks each edge for each page, if the visitors' pages should be known.
func (l Load) know(ctx context.Context, pages Pages, edges []string) error {
	if !l.Known {
		return nil
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for _, edge := range edges {
		for _, p := range l.Pages(pages) {
			if _, err := site.Get(ctx, client, edge+p.Path); err != nil {
				return fmt.Errorf("ask for a page before anything breaks: %w", err)
			}
		}
	}
	return nil
}

// config makes the benchmark of a load.
func (l Load) config(cfg *Config, pages Pages, edges []string) bench.Config {
	b := bench.Config{
		Edges: edges, Pages: pages.Users, Exponent: l.Exponent, Seed: 1,
		Duration: cfg.Duration, Timeout: 15 * time.Second, PagesOnly: true,
		KeepConnections: !l.Anew && !l.Browsers,
		Failover:        l.Failover, Patience: l.Patience, Step: step, Visitors: visitors,
	}
	if l.Pages != nil {
		b.Pages = l.Pages(pages)
	}
	if (l.Pages != nil || l.Anew) && !l.Follow {
		b.VisitPages = 1
	}
	return b
}

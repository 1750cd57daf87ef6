package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/chaos"
	"flickrkillr/ops/lab/mutant"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

type chaosCommand struct {
	Edge []string `env:"-" placeholder:"URL" help:"Break a running site that visitors reach through this edge; repeat it for each edge. Needs --yes, and runs only the rows that need nothing but the addresses of the services. Only counts when typed: no environment variable sets it. Default: start a site of its own, and remove it afterwards."`
	Yes  bool     `env:"-" help:"With --edge: do break the running site."`

	Fleet bool `help:"Break machines instead of processes: rows of another catalogue. Each runs on three machines with systemd that this command starts on this computer and deploys itself to. Needs Linux, and root."`

	Row      []string      `enum:"${rows}" placeholder:"NAME" help:"Run only this row of the catalogue; repeat it for several. --list shows the names."`
	List     bool          `help:"List the rows of the catalogue, with --fleet of that one, and run none."`
	Duration time.Duration `default:"1m" min:"1s" max:"24h" placeholder:"TIME" help:"Time to load the site in each row (default ${default}). A fault takes at most half of it. With --fleet: the least time; each machine has its turn."`
	Rate     *float64      `min:"1" placeholder:"N" help:"Pages begun per second, whether or not the site keeps up (default: 500; with --fleet 100, as three machines share this computer)."`
	Control  bool          `help:"After each row run its control: the same row on a site without the mechanism that protects visitors, which must miss the target. Most controls are built from the source tree, which must be the working directory, and need Go."`
	JSON     bool          `name:"json" help:"Print the result as JSON instead of a table."`
	Markdown bool          `help:"Print the result as a Markdown table."`
	Report   string        `type:"path" placeholder:"FILE" help:"Also write the result, with a timeline of each row, to this HTML file."`
	services
}

// Sizes of the demonstration data of a chaos run's own site.
const (
	chaosUsers  = 1000
	chaosPhotos = 10000
)

// errMissed makes the exit status 1; the result says which.
var errMissed = errors.New("a row missed its target, a control did not, or one could not be run")

func (c *chaosCommand) Run(s *session) (err error) {
	find := chaos.Find
	if c.Fleet {
		find = chaos.FindFleet
	}
	rows, err := find(c.Row)
	if err != nil {
		return err
	}
	if c.Fleet && len(c.Edge) > 0 {
		return usage(errors.New("--fleet starts machines of its own: leave --edge out"))
	}
	if c.Yes && len(c.Edge) == 0 {
		return usage(errors.New("--yes is for a running site: name its edges with --edge"))
	}
	if len(c.Edge) > 0 && len(c.Row) == 0 {
		rows = chaos.OnRunning(rows)
	}
	if c.List {
		table := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
		for _, r := range rows {
			fmt.Fprintf(table, "%s\t%s\n", r.Name, r.Visitor)
		}
		return table.Flush()
	}
	perSecond := 500.0
	switch {
	case c.Rate != nil:
		perSecond = *c.Rate
	case c.Fleet:
		perSecond = 100
	}
	cfg := chaos.Config{Rows: rows, Rate: perSecond, Duration: c.Duration, Control: c.Control, Logger: s.log,
		Progress: s.logProgress()}
	if len(c.Edge) > 0 {
		return c.breakRunning(s, cfg)
	}
	if chaos.NeedSource(rows, c.Control) {
		cfg.Source, err = mutant.Root(s.ctx)
		switch {
		case err != nil && c.Control:
			return fmt.Errorf("--control: %w", err)
		case err != nil && len(c.Row) == 0:
			cfg.Rows = chaos.WithoutSource(rows)
			s.log.Warn("rows are left out", "count", len(rows)-len(cfg.Rows), "err", err)
		case err != nil:
			return fmt.Errorf("--row: %w", err)
		}
	}
	if c.Fleet {
		if cfg.Program, err = os.Executable(); err != nil {
			return err
		}
		if err := chaos.FleetPossible(); err != nil {
			return err
		}
	}
	if chaos.NeedS3(cfg.Rows) {
		cfg.S3Server, err = setup.S3Server(s.ctx, s.stderr)
		switch {
		case err != nil && len(c.Row) == 0:
			all := len(cfg.Rows)
			cfg.Rows = chaos.WithoutS3(cfg.Rows)
			s.log.Warn("rows are left out", "count", all-len(cfg.Rows), "err", err)
		case err != nil:
			return fmt.Errorf("--row: %w", err)
		}
	}
	data := seed.Config{Users: chaosUsers, Photos: chaosPhotos, Originals: ladderOriginals, Long: ladderLong}
	services, err := s.openSandbox("chaos", !c.Fleet, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, services.Stop()) }()
	if cfg.Pages.Users, err = bench.Users(s.ctx, services.Env().Postgres); err != nil {
		return err
	}
	if cfg.Pages.Albums, err = albumPages(s, services.Env().Postgres); err != nil {
		return err
	}
	cfg.Stack, cfg.Pictures, cfg.Env = services, picturesOf(services), flagEnv(s.flags)
	cfg.Fill = func(_ context.Context, pool *pgxpool.Pool) error { // the same numbers give the same rows
		return s.seed(pool, pictureFlags{Pictures: cfg.Pictures}, data, seed.Run)
	}
	return c.run(s, cfg)
}

// breakRunning runs rows on a running site. It signs in to the bus as a renderer, which may delete the stream.
func (c *chaosCommand) breakRunning(s *session, cfg chaos.Config) (err error) {
	if err := c.find(s.data, "--nats, --postgres and --memcached", wire.RoleRenderer); err != nil {
		return err
	}
	if c.NATS == "" || c.Postgres == "" || len(c.Memcached) == 0 {
		return errors.New("to break a running site its services must be known: say --nats, --postgres and --memcached")
	}
	cfg.Running = &chaos.Running{Edges: c.Edge, Services: c.env(wire.RoleRenderer)}
	if err := cfg.Check(); err != nil {
		return err
	}
	if !c.Yes {
		return fmt.Errorf("chaos with --edge breaks a running site; nothing was broken yet; --yes allows it:\n%s",
			c.plan(cfg))
	}
	if cfg.Pages.Users, err = bench.Users(s.ctx, c.Postgres); err != nil {
		return err
	}
	s.log.Warn("a running site is broken", "edges", strings.Join(c.Edge, " "), "count", len(cfg.Rows))
	return c.run(s, cfg)
}

// plan describes what would be done to which site.
func (c *chaosCommand) plan(cfg chaos.Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  visit  %s, %g pages a second, each time for %s\n  bus    %s\n  cache  %s",
		strings.Join(c.Edge, " "), cfg.Rate, cfg.Duration, stack.Redact(c.NATS), strings.Join(c.Memcached, " "))
	for _, r := range cfg.Rows {
		fmt.Fprintf(&b, "\n  break  %s; visitors notice %s", r.Name, r.Visitor)
	}
	return b.String()
}

// run runs the rows and prints the result.
func (c *chaosCommand) run(s *session, cfg chaos.Config) error {
	result, err := chaos.Run(s.ctx, cfg)
	if err != nil {
		return err
	}
	show := result.WriteTable
	switch {
	case c.JSON:
		show = result.WriteJSON
	case c.Markdown:
		show = result.WriteMarkdown
	}
	err = show(s.stdout)
	if c.Report != "" {
		err = errors.Join(err, result.Report().WriteFile(c.Report))
	}
	if err == nil && !result.Good() {
		err = errMissed
	}
	return err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

type auditCommand struct {
	Edge    []string `env:"-" placeholder:"URL" help:"Audit a running site through this edge, and write to that site; repeat it for each edge. Needs --yes. Only counts when typed: no environment variable sets it. Default: start a site for the audit, and remove it afterwards."`
	Metrics []string `env:"-" placeholder:"URL" help:"With --edge: read an edge's metrics here, http://HOST:PORT/metrics; repeat it for each edge. They tell how soon edges learn of changes from the stream."`
	Yes     bool     `env:"-" help:"With --edge: do write to the running site. The audit overwrites titles of some users' photos, hides photos and deletes photos, for good."`

	Seed         uint64        `default:"1" placeholder:"N" help:"Seed of the random decisions (default ${default})."`
	Writes       int64         `min:"0" placeholder:"N" help:"Stop after this many writes, once --observations is reached as well (default: no goal)."`
	Observations int64         `min:"0" placeholder:"N" help:"Stop after checking this many answers, once --writes is reached as well (default: no goal)."`
	Duration     time.Duration `min:"0s" placeholder:"TIME" help:"Stop after this time in any case (default: 1m if neither --writes nor --observations is given)."`
	Rate         float64       `default:"100" min:"0" placeholder:"N" help:"Writes per second (default ${default}; 0: unlimited)."`
	ViewRate     float64       `min:"0" placeholder:"N" aliases:"look-rate" env:"KILLR_VIEW_RATE,KILLR_LOOK_RATE" help:"Page views per second, not counting timing probes (0, the default: unlimited, which leaves the site little processor time)."`
	BusShare     float64       `default:"0.5" min:"0" max:"1" placeholder:"SHARE" help:"Share of the writes that go through the bus, from 0 to 1, where an action exists for them; the others are made in SQL (default ${default})."`
	ActionsOnly  bool          `help:"Make only writes that have an action (new titles, hiding, showing), so that --bus-share 1 means all. Edges hear of these directly as well, so that they do not test the relay."`
	Owners       int           `default:"40" min:"1" max:"100000" placeholder:"N" help:"Users whose photos are written to (default ${default})."`
	Writers      int           `default:"8" min:"1" max:"1000" placeholder:"N" help:"Concurrent writes (default ${default})."`
	Observers    int           `default:"8" min:"1" max:"1000" placeholder:"N" help:"Concurrent visitors (default ${default}). Every other one is signed in."`
	People       int           `default:"12" min:"0" max:"1000" placeholder:"N" help:"People whom the audit signs up, and whose sessions begin and end (default ${default}; 0: none). Their names begin with killraudit-. It removes them at its end."`
	SignIns      float64       `default:"1" min:"0.01" max:"100" placeholder:"N" help:"Forms with a password per second, after the first 20 (default ${default}). A site takes 100 a minute from one address, see edge --address-guesses."`

	Bound time.Duration `default:"1s" min:"1ms" placeholder:"TIME" help:"Time in which every edge must show a change while no fault is active (default ${default})."`

	Edges            int           `default:"4" min:"1" max:"100" placeholder:"N" help:"Edges of the audit's own site (default ${default})."`
	Renderers        int           `default:"2" min:"1" max:"100" placeholder:"N" help:"Renderers of the audit's own site (default ${default})."`
	PostgresReplicas int           `default:"0" min:"0" max:"10" placeholder:"N" help:"Replicas of the database of the audit's own site, from which its renderers read (default ${default})."`
	PostgresLag      time.Duration `min:"0s" placeholder:"TIME" help:"How long after its commit these replay each transaction (default: at once)."`
	Faults           bool          `default:"true" negatable:"" help:"Inject faults into the audit's own site."`
	Fault            []string      `enum:"${faults}" placeholder:"NAME" help:"Inject only this fault; repeat it for several: ${fault_list}."`
	FaultEvery       time.Duration `default:"5s" min:"100ms" placeholder:"TIME" help:"Longest pause between two faults; the shortest is half of it (default ${default}). Every other pause is 4s longer: --bound is checked in it."`

	StopAtViolation bool `help:"Stop at the first violation."`
	JSON            bool `help:"Print the report as JSON."`
	services
}

// errViolations makes the exit status 1; the report lists the violations.
var errViolations = errors.New("the audit found violations")

func (c *auditCommand) Run(s *session) error {
	if c.Duration == 0 && c.Writes == 0 && c.Observations == 0 {
		c.Duration = time.Minute
	}
	if len(c.Edge) > 0 {
		return c.auditRunning(s)
	}
	if len(c.Metrics) > 0 || c.Yes {
		return usage(errors.New("--metrics and --yes are for an audit of a running site: name its edges with --edge"))
	}
	return c.auditOwn(s)
}

// auditRunning audits a running site and injects no faults.
func (c *auditCommand) auditRunning(s *session) error {
	if err := c.find(s.data, "--nats and --postgres", wire.RoleAudit); err != nil {
		return err
	}
	if c.Postgres == "" {
		return errors.New("an audit needs the site's database: say --postgres")
	}
	return c.withPool(s.ctx, c.Postgres, func(pool *pgxpool.Pool) error {
		plan, err := c.plan(s.ctx, pool)
		if err != nil {
			return err
		}
		if !c.Yes {
			return fmt.Errorf(
				"an audit with --edge writes to a running site; nothing was written yet; --yes allows it:\n%s",
				plan,
			)
		}
		s.log.Warn("the audit writes to a running site", "edges", strings.Join(c.Edge, " "),
			"database", databaseName(pool), "users", c.Owners)
		var nc *nats.Conn
		if c.NATS != "" {
			joined, err := stack.JoinBus(c.env(wire.RoleAudit).Login(wire.RoleAudit), "audit", s.log)
			if err != nil {
				return err
			}
			defer joined.Close()
			nc = joined.Conn
		}
		return c.run(s, c.Edge, pool, nc, nil)
	})
}

// plan describes what an audit would do to which site. It only reads.
func (c *auditCommand) plan(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	demonstration, err := seed.Demonstration(ctx, pool)
	if err != nil {
		return "", fmt.Errorf("read the database %s: %w", databaseName(pool), err)
	}
	data := "people's own photos, not the demonstration data"
	if demonstration {
		data = "the demonstration data"
	}
	people := "1 person"
	if c.People != 1 {
		people = fmt.Sprintf("%d people", c.People)
	}
	bus := "none"
	if c.NATS != "" {
		bus = stack.Redact(c.NATS)
	}
	return fmt.Sprintf("  visit      %s\n  write to   %s, which holds %s\n  bus        %s\n"+
		"  change     the photos of %s, for good: overwrite titles, hide, show, delete and add photos\n"+
		"  sign up    %s, named %s..., and remove them at the end",
		strings.Join(c.Edge, " "), databaseName(pool), data, bus, audit.Count(c.Owners, "user"), people,
		audit.NamePrefix), nil
}

// databaseName names a pool's database without its password.
func databaseName(pool *pgxpool.Pool) string {
	c := pool.Config().ConnConfig
	return fmt.Sprintf("%s@%s:%d/%s", c.User, c.Host, c.Port, c.Database)
}

// Sizes of the demonstration data of an audit's own site. No audit looks at a picture, so there are few and small ones.
const (
	auditUsers     = 150
	auditPhotos    = 3000
	auditOriginals = 2
	auditLong      = 64 // pixels
)

// auditOwn audits a site that is started for it, and injects faults into it.
func (c *auditCommand) auditOwn(s *session) (err error) {
	services, err := s.openSandboxWith("audit", c.PostgresReplicas, true, seed.Config{
		Users: auditUsers, Photos: auditPhotos, Originals: auditOriginals, Long: auditLong,
	})
	if err != nil {
		return err
	}
	if err := services.LagReplicas(s.ctx, c.PostgresLag); err != nil {
		return errors.Join(err, services.Stop())
	}
	own := site.New(
		site.Config{
			Stack:     services,
			Pictures:  picturesOf(services),
			Logger:    s.log,
			Addr:      "127.0.0.1:0",
			DebugAddr: "127.0.0.1:0",
			Processes: &site.ProcessConfig{
				Data:     services.Dir(),
				Args:     []string{"--log-level", "error"},
				EdgeArgs: []string{"--no-access-log", "--address-guesses", "60000"}, // all visitors have one address
				Env:      flagEnv(s.flags),
			},
		},
	)
	defer func() { err = errors.Join(err, own.Stop()) }()
	if err := (roleCounts{renderers: c.Renderers, cachefills: 1, edges: c.Edges}).addTo(own); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	if err := own.WaitReady(ctx); err != nil {
		return err
	}
	var faults []audit.Fault
	for _, f := range site.Faults() {
		if c.Faults && (len(c.Fault) == 0 || slices.Contains(c.Fault, f.Name)) {
			inject := func(ctx context.Context) error { return own.Inject(ctx, f.Name) }
			faults = append(faults, audit.Fault{Name: f.Name, Strict: f.Strict, Inject: inject})
		}
	}
	c.Memcached = services.Env().Memcached
	for _, url := range own.DebugURLs(site.Edge) {
		c.Metrics = append(c.Metrics, url+"/metrics")
	}
	bus, err := stack.JoinBus(services.Env().Login(wire.RoleAudit), "audit", s.log)
	if err != nil {
		return err
	}
	defer bus.Close()
	return c.withPool(
		s.ctx,
		services.Env().Postgres,
		func(pool *pgxpool.Pool) error { return c.run(s, own.URLs(), pool, bus.Conn, faults) },
	)
}

// withPool gives f a pool with a connection for each writer.
func (c *auditCommand) withPool(ctx context.Context, url string, f func(*pgxpool.Pool) error) error {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	config.MaxConns = int32(max(1, c.Writers)) + 2
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer pool.Close()
	return f(pool)
}

func (c *auditCommand) run(s *session, edges []string, pool *pgxpool.Pool, nc *nats.Conn, faults []audit.Fault) error {
	report, err := audit.Run(s.ctx, audit.Config{
		Edges: edges, Metrics: c.Metrics, OneMachine: len(c.Edge) == 0, Failovers: len(c.Edge) > 0,
		Pool: pool, NATS: nc, Seed: c.Seed,
		Owners: c.Owners, Writers: c.Writers, Observers: c.Observers, Rate: c.Rate, ViewRate: c.ViewRate,
		BusShare: c.BusShare, Actions: c.ActionsOnly, People: c.People, SignIns: c.SignIns, Memcached: c.Memcached,
		Writes: c.Writes, Observations: c.Observations,
		Duration: c.Duration, StopAtViolation: c.StopAtViolation, Bound: c.Bound,
		Faults: faults, FaultEvery: c.FaultEvery, Logger: s.log,
		Progress: func(p audit.Progress) {
			s.log.Info("auditing", "took", p.Took.Round(time.Second), "writes", p.Writes,
				"observations", p.Observations, "violations", p.Violations)
		},
		OnProblem: func(v audit.Violation) {
			s.log.Error("violation", "rule", v.Rule, "what", v.What, "url", v.URL, "request", v.Request)
		},
	})
	if report == nil {
		return err
	}
	show := report.Write
	if c.JSON {
		show = report.WriteJSON
	}
	err = errors.Join(err, show(s.stdout))
	switch people := report.People; {
	case err != nil:
	case report.Violations > 0:
		err = errViolations
	case people.Unread > 0 && people.Items == 0:
		err = errors.New("no item of memcached could be read, so none was searched for secrets: " +
			"see --log-level debug for the reason")
	}
	return err
}

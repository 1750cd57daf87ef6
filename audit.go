package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/audit"
	"flickrkillr/ops/seed"
)

type auditCommand struct {
	Edge    []string `placeholder:"URL" help:"Audit a running site through this edge; repeat it for each. Without any, a site of its own is started for the audit, and removed afterwards."`
	Metrics []string `placeholder:"URL" help:"Where an edge shows its metrics, http://HOST:PORT/metrics; repeat it for each. They say how soon edges had changes from the stream."`
	Yes     bool     `help:"Audit a running site although its data is not the demonstration's: titles of some users' photos are overwritten, photos deleted."`

	Seed         uint64        `default:"1" placeholder:"N" help:"Number that all decisions are drawn from (default ${default})."`
	Writes       int64         `placeholder:"N" help:"Go on until so many writes are done, and --observations made."`
	Observations int64         `placeholder:"N" help:"Go on until so many answers were looked at, and --writes are done."`
	Duration     time.Duration `placeholder:"TIME" help:"End after so long in any case. Default: a minute, if neither number is given."`
	Rate         float64       `default:"100" placeholder:"N" help:"Writes a second; 0: as many as there can be (default ${default})."`
	LookRate     float64       `placeholder:"N" help:"Looks of the visitors a second, writers among them, but not those that time a write; 0, the default: as many as there can be, which leaves little of the machine to the site."`
	BusShare     float64       `default:"0.5" placeholder:"SHARE" help:"Share of the writes that go through the bus, where there is an action for it; the others are made as in psql (default ${default})."`
	ActionsOnly  bool          `help:"Make only writes that have an action, so that --bus-share 1 means all: new titles, hiding and showing. Of these the edges hear directly too, so that they do not show whether the relay works."`
	Owners       int           `default:"40" placeholder:"N" help:"Users that are taken over (default ${default})."`
	Writers      int           `default:"8" placeholder:"N" help:"Writes at once (default ${default})."`
	Observers    int           `default:"8" placeholder:"N" help:"Visitors at once (default ${default})."`

	Bound time.Duration `default:"1s" placeholder:"TIME" help:"By when every change must show at every edge while nothing is broken (default ${default})."`

	Edges      int           `default:"4" placeholder:"N" help:"Edges of the site of its own (default ${default})."`
	Renderers  int           `default:"2" placeholder:"N" help:"Renderers of the site of its own (default ${default})."`
	Faults     bool          `default:"true" negatable:"" help:"Break things of the site of its own while the audit goes on."`
	Fault      []string      `placeholder:"NAME" help:"Break only this; repeat it for several. A name that there is not shows all."`
	FaultEvery time.Duration `default:"5s" placeholder:"TIME" help:"Rest between two faults, half of it at least (default ${default})."`

	StopAtViolation bool `help:"End with the first violation."`
	JSON            bool `help:"Print the report as JSON."`
	services
}

// errViolations makes the exit status 1; the report has said which.
var errViolations = errors.New("what visitors saw was not true")

func (c *auditCommand) Run(s *session) error {
	if c.Duration == 0 && c.Writes == 0 && c.Observations == 0 {
		c.Duration = time.Minute
	}
	if len(c.Edge) > 0 {
		return c.auditRunning(s)
	}
	return c.auditOwn(s)
}

// auditRunning audits a site that is there. Nothing of it is broken.
func (c *auditCommand) auditRunning(s *session) error {
	if err := c.fill(s.data); err != nil {
		return err
	}
	return c.withPool(s.ctx, c.Postgres, func(pool *pgxpool.Pool) error {
		if err := c.mayWrite(s.ctx, pool); err != nil {
			return err
		}
		s.log.Warn("this writes to the photos of some users, for good", "users", c.Owners)
		var nc *nats.Conn
		if c.NATS != "" {
			var closeBus func()
			var err error
			if nc, closeBus, err = joinBus(c.NATS, "audit", s.log); err != nil {
				return err
			}
			defer closeBus()
		}
		return c.run(s, c.Edge, pool, nc, nil)
	})
}

// mayWrite refuses a database with people's own photos in it.
func (c *auditCommand) mayWrite(ctx context.Context, pool *pgxpool.Pool) error {
	demonstration, err := seed.Demonstration(ctx, pool)
	if err != nil {
		return err
	}
	if !demonstration && !c.Yes {
		return errors.New("this database does not hold the demonstration data: an audit overwrites titles and deletes photos. Say --yes if that is wanted")
	}
	return nil
}

// auditOwn audits a site that is started for it, and breaks it.
func (c *auditCommand) auditOwn(s *session) (err error) {
	site, err := newAuditSite(s, c.Edges, c.Renderers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.stop()) }()
	if err := site.start(); err != nil {
		return err
	}
	faults, err := c.chosen(site.faults())
	if err != nil {
		return err
	}
	for _, k := range site.kept["edge"] {
		c.Metrics = append(c.Metrics, "http://"+site.debug[k]+"/metrics")
	}
	nc, closeBus, err := joinBus(site.nats.URL(), "audit", s.log)
	if err != nil {
		return err
	}
	defer closeBus()
	return c.withPool(s.ctx, site.postgres.URL(), func(pool *pgxpool.Pool) error { return c.run(s, site.urls, pool, nc, faults) })
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

// chosen picks the faults that were asked for.
func (c *auditCommand) chosen(all []audit.Fault) ([]audit.Fault, error) {
	if !c.Faults {
		return nil, nil
	}
	if len(c.Fault) == 0 {
		return all, nil
	}
	var some []audit.Fault
	var names []string
	for _, f := range all {
		names = append(names, fmt.Sprintf("%q", f.Name))
	}
	for _, name := range c.Fault {
		n := len(some)
		for _, f := range all {
			if f.Name == name {
				some = append(some, f)
			}
		}
		if len(some) == n {
			return nil, fmt.Errorf("there is no fault %q, but %s", name, strings.Join(names, ", "))
		}
	}
	return some, nil
}

func (c *auditCommand) run(s *session, edges []string, pool *pgxpool.Pool, nc *nats.Conn, faults []audit.Fault) error {
	report, err := audit.Run(s.ctx, audit.Config{
		Edges: edges, Metrics: c.Metrics, OneMachine: len(c.Edge) == 0, Pool: pool, NATS: nc, Seed: c.Seed, Owners: c.Owners, Writers: c.Writers, Observers: c.Observers, Rate: c.Rate, LookRate: c.LookRate, BusShare: c.BusShare, Actions: c.ActionsOnly,
		Writes: c.Writes, Observations: c.Observations, Duration: c.Duration, StopAtViolation: c.StopAtViolation, Bound: c.Bound,
		Faults: faults, FaultEvery: c.FaultEvery, Logger: s.log,
		Progress: func(p audit.Progress) {
			s.log.Info("auditing", "took", p.Took.Round(time.Second), "writes", p.Writes, "observations", p.Observations, "violations", p.Violations)
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
	if err == nil && report.Violations > 0 {
		err = errViolations
	}
	return err
}

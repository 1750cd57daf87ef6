package chaos

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/site"
)

// Writes is what an audit said of acknowledged writes, in a row whose visitors write.
type Writes struct {
	Acknowledged int64    `json:"acknowledged"` // or looked up, when no answer had come
	Unanswered   int64    `json:"unanswered"`   // of these, looked up
	Answers      int64    `json:"answers"`      // that were compared with them
	False        int64    `json:"false"`        // answers that show a lost write, or an old page
	First        []string `json:"first,omitempty"`
}

// The load and the bound of a row whose visitors write.
const (
	writers    = 8
	writesRate = 100             // per second
	falseAfter = 4 * time.Second // an edge relies on its copies for no longer, whatever the relay does
)

// killEverything kills all roles, and then all services at the same moment, and returns when all are ready again.
func killEverything(ctx context.Context, s *scene, _ int, _ time.Duration) error {
	var errs []error
	for _, role := range []site.Role{site.Edge, site.Renderer, site.Cachefill} {
		pids, err := s.site.PIDs(role)
		errs = append(errs, err)
		for i := range pids {
			if err := s.signal(role, i, syscall.SIGKILL); !errors.Is(err, errSkipped) {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, s.stack.CrashAll(context.WithoutCancel(ctx)))
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return errors.Join(append(errs, s.site.WaitReady(ready))...)
}

// write audits the site of a row while its fault is injected at random moments.
func (cfg *Config) write(ctx context.Context, row Row, on *scene, out *Outcome) error {
	n := 0
	return cfg.audit(ctx, on, audit.Config{
		Rate: writesRate, ViewRate: cfg.Rate, Duration: cfg.Duration,
		Faults: []audit.Fault{{Name: row.Name, Inject: func(ctx context.Context) error {
			n++
			return row.Fault.Inject(ctx, on, n-1, row.Fault.Hold)
		}}},
		FaultEvery: row.Fault.Every,
	}, out)
}

// audit runs an audit on the site of a row, with rates, faults and a duration as given.
func (cfg *Config) audit(ctx context.Context, on *scene, a audit.Config, out *Outcome) error {
	database := cfg.Stack.Env().Postgres // as it is, also where roles reach it otherwise
	if on.fleet != nil {
		database = on.at.Postgres
	}
	pool, err := on.openPool(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	nc, leave, err := on.joinBus()
	if err != nil {
		return err
	}
	defer leave()
	a.NATS = nc
	a.Edges, a.Dial, a.OneMachine, a.Pool = slices.Clone(on.edges), on.dial, true, pool
	a.Seed, a.Writers, a.BusShare, a.Bound, a.Logger = 1, writers, 1, falseAfter, cfg.Logger
	report, err := audit.Run(ctx, a)
	if report == nil {
		return err
	}
	for _, f := range report.Faults {
		out.Faults = append(out.Faults, FaultEvent{Began: f.Began.Seconds(), Ended: f.Ended.Seconds(), Err: f.Err})
	}
	out.Writes = &Writes{Acknowledged: report.Writes[audit.Bus] + report.Writes[audit.Psql],
		Unanswered: report.Unknown, Answers: report.Observations, False: report.Violations}
	for _, v := range report.First {
		out.Writes.First = append(out.Writes.First, v.String())
	}
	return err
}

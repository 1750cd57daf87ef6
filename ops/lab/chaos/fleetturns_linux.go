package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/lab/bench"
	"flickrkillr/schema/sleep"
)

const (
	// quiet is how long nothing happens before the first turn and after the last one.
	quiet = 10 * time.Second
	// longestRow bounds a row, all turns of which take some minutes.
	longestRow = time.Hour
	// The load of the writers, beside visitors who want pages.
	fleetWritesRate = 20 // per second
	fleetViewRate   = 30 // per second
)

// visitAndWrite loads the site of a row, audits it, and breaks a machine in each turn, until all had theirs and the
// duration of the run is over.
func (cfg *Config) visitAndWrite(ctx context.Context, row Row, on *scene, out *Outcome) error {
	warm := min(warmup, cfg.Duration/2)
	start := time.Now().Add(warm)
	loaded, stop := context.WithTimeout(ctx, longestRow)
	defer stop()
	seen := make([]*bench.Result, len(row.Loads))
	var loads errgroup.Group
	for i, l := range row.Loads {
		loads.Go(func() (err error) {
			b := l.config(cfg, cfg.Pages, on.edges)
			b.Rate, b.Warmup, b.Duration, b.Dial = cfg.Rate*l.Share, warm, longestRow, on.dial
			if i == 0 {
				b.Progress = cfg.Progress
			}
			if seen[i], err = bench.Run(loaded, b); err != nil {
				stop()
			}
			return err
		})
	}
	t := &turns{row: row, on: on, start: start, least: cfg.Duration, finish: stop, had: map[int]bool{}}
	err := cfg.audit(loaded, on, audit.Config{Failovers: true, Rate: fleetWritesRate, ViewRate: fleetViewRate,
		Faults: t.faults(), FaultEvery: row.Fault.Every, OnAnswer: t.writes.note,
		OutcomeTimeout: readyLimit}, out)
	stop()
	err = errors.Join(err, loads.Wait())
	for i, l := range row.Loads {
		if seen[i] != nil {
			out.Loads = append(out.Loads, newSeen(l, seen[i]))
		}
	}
	out.Faults, out.Even = t.events, t.even
	return err
}

// turns breaks one machine after the other.
type turns struct {
	row    Row
	on     *scene
	start  time.Time     // of what counts
	least  time.Duration // that the row takes
	finish func()        // ends the row
	writes writeTimes

	had    map[int]bool // by machine
	events []FaultEvent
	even   []Evenness
}

// faults are the turns, one of each machine, which the audit takes in an order of its own.
func (t *turns) faults() (all []audit.Fault) {
	for n := range t.row.Fault.Turns {
		all = append(all, audit.Fault{Name: t.on.machine(n).Name, Inject: func(ctx context.Context) error {
			return t.take(ctx, n)
		}})
	}
	return all
}

// take is the turn of a machine. It returns when all is as before.
func (t *turns) take(ctx context.Context, n int) error {
	if !sleep.For(ctx, time.Until(t.start.Add(quiet))) {
		return nil
	}
	since := func() float64 { return time.Since(t.start).Seconds() }
	began := time.Now()
	e := FaultEvent{What: t.on.machine(n).Name, Began: since()}
	t.on.log.Info("fault", "name", t.row.Name, "machine", e.What)
	err := t.row.Fault.Inject(ctx, t.on, n, t.row.Fault.Hold)
	e.Ended = since()
	if err == nil {
		err = t.on.fleet.waitReady(ctx)
		e.Ready = since()
	}
	e.Pause = t.writes.pause(began, time.Now()).Seconds()
	if err == nil && t.row.Even {
		err = t.measure(ctx, t.start.Add(time.Duration(e.Ended*float64(time.Second))))
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		e.Err = err.Error()
		t.on.log.Error("a fault could not be injected, or not undone", "err", err)
	}
	t.events, t.had[n] = append(t.events, e), true
	if err != nil || len(t.had) == t.row.Fault.Turns && time.Since(t.start) >= t.least {
		sleep.For(ctx, quiet)
		t.finish()
	}
	return err
}

// evenAfter is how long after a restart connections and requests have to be even again.
const evenAfter = time.Minute

// measure waits until a minute after the fault, and notes how even connections are, and requests since it was over.
func (t *turns) measure(ctx context.Context, ended time.Time) error {
	before, err := t.on.fleet.requests(ctx)
	if err != nil || !sleep.For(ctx, time.Until(ended.Add(evenAfter))) {
		return err
	}
	connections, err := t.on.fleet.connections(ctx)
	if err != nil {
		return err
	}
	after, err := t.on.fleet.requests(ctx)
	if err != nil {
		return err
	}
	shares := Evenness{What: "requests of renderers, " + evenAfter.String() + " after"}
	for id, n := range after {
		shares.Counts = append(shares.Counts, n-before[id])
	}
	t.even = append(t.even, shares,
		Evenness{What: fmt.Sprintf("connections to servers of NATS, %s after", evenAfter), Counts: connections})
	return nil
}

package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Config is the input of an audit. Edges and Pool are required.
type Config struct {
	Edges []string      // http://host:port of each
	Pool  *pgxpool.Pool // to the database of the site; at least Writers connections
	NATS  *nats.Conn    // nil: no writes by the bus, no cookies

	Memcached []string // servers whose items are searched for what only one person may see; none: they are not

	Metrics    []string // http://host:port/metrics of each edge; none: commit to notice is not measured
	OneMachine bool     // edges and database share one clock

	Seed      uint64
	Owners    int     // users to take over, at most; 0: 40
	Writers   int     // at once; 0: 8
	Observers int     // at once; 0: 8
	Rate      float64 // writes per second; 0: unlimited
	ViewRate  float64 // page views per second, without timing probes; 0: unlimited
	BusShare  float64 // from 0 to 1: share of the writes sent by the bus, of those that have an action
	Actions   bool    // only writes that have an action and can be undone: set a title, hide, show

	// People whom the audit signs up, with browsers that end their sessions; 0: none. Every other visitor is signed in
	// as one of them. Their accounts are removed at the end.
	People  int
	SignIns float64 // forms with a password per second, after the first 20; 0: 1

	// The audit ends when both numbers are reached and each fault was injected once, or after Duration, whichever comes
	// first. Without any of these it runs until its context ends.
	Writes, Observations int64
	Duration             time.Duration
	StopAtViolation      bool

	Bound  time.Duration // within which a change must show while no fault is in effect; 0: QuietBound
	Faults []Fault
	// PostgreSQL may get another primary meanwhile, which announces that everything may have changed. Without Failovers
	// a page that names the version of such an announcement is a violation.
	Failovers bool
	// How long the outcome of a write is asked for: by repeating it, at most half of the time, then in the database.
	// Without one the audit ends. 0: a minute.
	OutcomeTimeout time.Duration
	// Pause between two faults, at most; it is at least half of it. Every other pause is longer by FaultBound. 0: 5 s.
	FaultEvery time.Duration

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // to edges; nil: as usual

	Logger    *slog.Logger    // nil: silent
	Progress  func(Progress)  // called every 5 s; may be nil
	OnProblem func(Violation) // called with each violation that the report keeps, when it is found; may be nil
	OnAnswer  func()          // called when a write is acknowledged, by several writers at once; may be nil
}

// Progress is the state of a running audit.
type Progress struct {
	Took                             time.Duration
	Writes, Observations, Violations int64
}

const progressEvery = 5 * time.Second

func (c Config) withDefaults() Config {
	if c.Owners <= 0 {
		c.Owners = 40
	}
	if c.Writers <= 0 {
		c.Writers = 8
	}
	if c.Observers <= 0 {
		c.Observers = 8
	}
	if c.NATS == nil {
		c.BusShare = 0
	}
	if c.Bound <= 0 {
		c.Bound = QuietBound
	}
	if c.FaultEvery <= 0 {
		c.FaultEvery = 5 * time.Second
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// audit is one run.
type audit struct {
	cfg        Config
	log        *slog.Logger
	start      time.Time
	world      *world
	popularity []float64
	client     *http.Client
	key        wire.FreshKey // nil: no cookies
	tally      *tally
	faults     *faultLog
	queue      chan *observation
	watches    chan *stopwatch // the free ones
	owned      chan *event
	watched    []atomic.Int32 // by owner: how many of its writes are being timed
	decided    atomic.Int64
	checker    *checker
	people     *people

	announcements int64 // if failovers were expected

	lookTimeout time.Duration // see there; 0: that
}

// queued is how many answers may wait to be checked, about 1 KiB each.
const queued = 20_000

// Run audits until it has as much as was asked for, or ctx ends; in both cases it returns a report. The error says that
// the audit could not be carried out; violations are in the report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Edges) == 0 || cfg.Pool == nil {
		return nil, errors.New("audit: at least one edge and the database are required")
	}
	a := &audit{cfg: cfg, log: cfg.Logger, start: time.Now(), tally: newTally(cfg.OnProblem),
		queue:   make(chan *observation, queued),
		watches: make(chan *stopwatch, stopwatches), owned: make(chan *event)}
	a.faults = &faultLog{now: a.now, log: a.log}
	// No compression: bodies are compared, not encodings.
	transport := &http.Transport{MaxIdleConnsPerHost: 2*cfg.Observers + 32, DisableCompression: true,
		DialContext: cfg.Dial}
	defer transport.CloseIdleConnections()
	a.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	a.people = newPeople(a)
	var err error
	if a.world, err = choose(ctx, cfg.Pool, cfg.Owners, a.now); err != nil {
		return nil, err
	}
	a.popularity = popularity(len(a.world.owners))
	a.watched = make([]atomic.Int32, len(a.world.owners))
	if err := a.readKey(ctx); err != nil {
		return nil, err
	}
	if err := a.checkEdges(ctx); err != nil {
		return nil, err
	}
	if err := a.checkActions(ctx); err != nil {
		return nil, err
	}
	for range stopwatches {
		a.watches <- a.newStopwatch()
	}
	a.checker = &checker{
		photos: a.world.photos, quiet: cfg.Bound, faults: a.faults, violation: a.tally.violated, stale: a.tally.late,
	}
	err = a.people.signUpAll(ctx, cfg.People)
	if err == nil {
		err = a.people.giveAddresses(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, a.people.leave(ctx))
	}
	before, _ := a.readMetrics(ctx) // the second reading reports errors
	began := a.now()
	err = errors.Join(a.run(ctx), a.people.leave(ctx))
	r := a.tally.sum()
	r.People = a.people.sum(r.People)
	after, problem := a.readMetrics(context.WithoutCancel(ctx))
	r.Notice = noticeBetween(before, after, cfg.OneMachine, problem)
	r.Started, r.QuietBound, r.Announcements = a.start, cfg.Bound, a.announcements
	r.Seed, r.Edges, r.Owners, r.Photos = cfg.Seed, len(cfg.Edges), len(a.world.owners), len(a.world.photos)
	r.Took, r.Faults = a.now()-began, a.faults.events()
	return r, err
}

// now is the time since the start of the audit.
func (a *audit) now() moment { return time.Since(a.start) }

// readKey reads the key with which edges sign cookies. Every client of the bus may read it.
func (a *audit) readKey(ctx context.Context) error {
	if a.cfg.NATS == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	js, err := jetstream.New(a.cfg.NATS)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	bucket, err := js.KeyValue(ctx, wire.BucketKeys)
	if err != nil {
		return fmt.Errorf("audit: open the bucket of the edges' keys: %w", err)
	}
	entry, err := bucket.Get(ctx, wire.FreshKeyID)
	if err != nil {
		return fmt.Errorf("audit: read the key of fresh cookies: %w", err)
	}
	a.key = entry.Value()
	return nil
}

// checkEdges checks that every edge answers with X-Depends, also for pages that do not exist.
func (a *audit) checkEdges(ctx context.Context) error {
	for i, url := range a.cfg.Edges {
		a.cfg.Edges[i] = strings.TrimSuffix(url, "/")
		o := a.world.owners[0]
		saw, err := a.newVisitor(i, false).ask(
			ctx, http.MethodHead, target{kind: userPage, owner: o, path: "/photos/" + o.name}, nil,
		)
		if err != nil {
			return fmt.Errorf("audit: edge %s: %w", url, err)
		}
		if len(saw.named) == 0 {
			return fmt.Errorf(
				"audit: edge %s answers %d without user.%s in X-Depends: does it belong to the site of this database?",
				url, saw.status, o.name,
			)
		}
		if a.key == nil {
			continue
		}
		saw, err = a.newVisitor(i, false).ask(
			ctx, http.MethodHead, target{kind: photoPage, path: schema.Photo(math.MaxInt64).Path()}, nil,
		)
		if err != nil {
			return fmt.Errorf("audit: edge %s: %w", url, err)
		}
		if saw.withheld {
			return fmt.Errorf(
				"audit: edge %s withholds the versions of a missing page: is it on another bus?",
				url,
			)
		}
	}
	return nil
}

// run starts writers, observers, checkers and faults, and returns when all have ended.
func (a *audit) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	writes, views := pace(a.cfg.Rate), pace(a.cfg.ViewRate)
	var checkers, others sync.WaitGroup
	if a.cfg.Failovers {
		announced := a.newEpochs()
		a.checker.announced = func(version int64) bool { return announced.has(ctx, version) }
		others.Go(func() { announced.run(ctx) })
		defer func() { a.announcements = announced.announcements() }()
	}
	for range 2 {
		checkers.Go(func() {
			for o := range a.queue {
				a.checker.check(o)
			}
		})
	}
	for n := range a.cfg.Observers {
		others.Go(func() { a.observe(ctx, n, views) })
	}
	others.Go(func() { a.viewAsWriter(ctx, views) })
	others.Go(func() { a.people.run(ctx) })
	others.Go(func() { a.people.listen(ctx) })
	others.Go(func() { a.people.sweep(ctx) })
	if len(a.cfg.Faults) > 0 {
		others.Go(func() {
			a.faults.run(ctx, a.cfg.Faults, a.cfg.FaultEvery, rand.New(rand.NewPCG(a.cfg.Seed, drawFault)))
		})
	}
	others.Go(func() { a.watch(ctx, stop) })
	var writers errgroup.Group
	for range a.cfg.Writers {
		writers.Go(func() error {
			err := a.writeLoop(ctx, writes)
			if err != nil {
				stop()
			}
			return err
		})
	}
	err := writers.Wait()
	others.Wait()
	close(a.queue)
	checkers.Wait()
	return err
}

// pace limits to perSecond; 0 is unlimited.
func pace(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Limit(perSecond), 10)
}

// writeLoop carries out decisions until there are enough or ctx ends. A write that has begun is completed.
func (a *audit) writeLoop(ctx context.Context, limit *rate.Limiter) error {
	for limit.Wait(ctx) == nil {
		n := a.decided.Add(1) - 1
		if a.cfg.Writes > 0 && n >= a.cfg.Writes {
			return nil
		}
		if err := a.carryOut(ctx, a.decide(n)); err != nil {
			return err
		}
	}
	return nil
}

// watch reports progress, and ends the audit when it has enough.
func (a *audit) watch(ctx context.Context, stop func()) {
	began, reported := a.now(), a.now()
	for ctx.Err() == nil {
		sleep.For(ctx, 50*time.Millisecond)
		p := Progress{Took: a.now() - began}
		p.Writes, p.Observations, p.Violations = a.tally.counts()
		if a.cfg.Progress != nil && a.now()-reported >= progressEvery {
			reported = a.now()
			a.cfg.Progress(p)
		}
		counted := a.cfg.Writes > 0 || a.cfg.Observations > 0
		if a.cfg.Duration > 0 && p.Took >= a.cfg.Duration ||
			counted && p.Writes >= a.cfg.Writes && p.Observations >= a.cfg.Observations && a.faults.over() >= len(
				a.cfg.Faults,
			) ||
			a.cfg.StopAtViolation && p.Violations > 0 {
			stop()
		}
	}
}

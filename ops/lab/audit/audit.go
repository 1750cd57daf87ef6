package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
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

// Config is what an audit is told. Edges and Pool are needed.
type Config struct {
	Edges []string      // http://host:port of each
	Pool  *pgxpool.Pool // on the site's database; Writers connections at least
	NATS  *nats.Conn    // nil: no writes by the bus and no cookies

	Metrics    []string // http://host:port/metrics of each edge; none: how soon they knew of changes is not known
	OneMachine bool     // edges and database go by one clock

	Seed      uint64
	Owners    int     // users to take over, at most; 0: 40
	Writers   int     // at once; 0: 8
	Observers int     // at once; 0: 8
	Rate      float64 // writes a second; 0: as many as there can be
	LookRate  float64 // looks a second, those that time writes apart; 0: likewise
	BusShare  float64 // of the writes that have an action, from 0 to 1
	Actions   bool    // no other writes, and none that only psql could undo: titles, hiding and showing

	// The audit ends when both numbers are reached and each fault has been, or after the duration, whichever is first;
	// without any of them, with its context.
	Writes, Observations int64
	Duration             time.Duration
	StopAtViolation      bool

	Bound      time.Duration // by which every change must show while nothing is broken; 0: QuietBound
	Faults     []Fault
	FaultEvery time.Duration // from the end of one to the beginning of the next, half of it at least; 0: 5 s

	Logger    *slog.Logger    // nil: slog.Default
	Progress  func(Progress)  // called every 5 s; may be nil
	OnProblem func(Violation) // called with those that the report keeps, as they are found; may be nil
}

// Progress is how far an audit is.
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
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
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
	trouble    *trouble
	queue      chan *observation
	watches    chan *stopwatch // that are free
	owned      chan *event
	watched    []atomic.Int32 // by owner: how many of their writes are being timed
	decided    atomic.Int64
}

// queued is how many observations may wait for the writes that they overlap: at a kilobyte or so each.
const queued = 20_000

// Run audits until it has what it was asked for, or ctx ends; then too it reports what it has. The error says that the
// audit could not be done; violations are in the report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Edges) == 0 || cfg.Pool == nil {
		return nil, errors.New("audit: at least one edge and the database are needed")
	}
	a := &audit{cfg: cfg, log: cfg.Logger, start: time.Now(), tally: newTally(cfg.OnProblem),
		queue:   make(chan *observation, queued),
		watches: make(chan *stopwatch, stopwatches), owned: make(chan *event)}
	a.trouble = &trouble{now: a.now, log: a.log}
	// No compression: what is compared are bodies, not encodings.
	transport := &http.Transport{MaxIdleConnsPerHost: 2*cfg.Observers + 32, DisableCompression: true}
	defer transport.CloseIdleConnections()
	a.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var err error
	if a.world, err = choose(ctx, cfg.Pool, cfg.Owners, a.now); err != nil {
		return nil, err
	}
	a.popularity = popularity(len(a.world.owners))
	a.watched = make([]atomic.Int32, len(a.world.owners))
	if err := a.readKey(ctx); err != nil {
		return nil, err
	}
	if err := a.tellsVersions(ctx); err != nil {
		return nil, err
	}
	if err := a.takesActions(ctx); err != nil {
		return nil, err
	}
	for range stopwatches {
		a.watches <- a.newStopwatch()
	}
	before, _ := a.readMetrics(ctx) // what is amiss is said at the end
	began := a.now()
	err = a.run(ctx)
	r := a.tally.sum()
	after, problem := a.readMetrics(context.WithoutCancel(ctx))
	r.Notice = noticed(before, after, cfg.OneMachine, problem)
	r.Started, r.QuietBound = a.start, cfg.Bound
	r.Seed, r.Edges, r.Owners, r.Photos = cfg.Seed, len(cfg.Edges), len(a.world.owners), len(a.world.photos)
	r.Took, r.Faults = a.now()-began, a.trouble.happened()
	return r, err
}

// now is the time of the audit.
func (a *audit) now() moment { return time.Since(a.start) }

// readKey takes the key that edges sign cookies with from the bus, to which access is trust.
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
		return fmt.Errorf("audit: the keys that edges share: %w", err)
	}
	entry, err := bucket.Get(ctx, wire.FreshKeyID)
	if err != nil {
		return fmt.Errorf("audit: the key of fresh cookies: %w", err)
	}
	a.key = entry.Value()
	return nil
}

// tellsVersions checks that every edge answers, and says which versions from.
func (a *audit) tellsVersions(ctx context.Context) error {
	for i, url := range a.cfg.Edges {
		a.cfg.Edges[i] = strings.TrimSuffix(url, "/")
		o := a.world.owners[0]
		saw, err := a.newVisitor(i, false).ask(
			ctx, http.MethodHead, target{kind: userPage, owner: o, path: "/photos/" + o.name}, nil,
		)
		if err != nil {
			return fmt.Errorf("audit: the edge %s: %w", url, err)
		}
		if len(saw.named) == 0 {
			return fmt.Errorf(
				"audit: the edge %s answers %d and says nothing of user.%s in X-Depends: is it of the same site as the database?",
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
			return fmt.Errorf("audit: the edge %s: %w", url, err)
		}
		if saw.veiled {
			return fmt.Errorf(
				"audit: the edge %s does not tell the version of what is not there: has it another key, and so another bus?",
				url,
			)
		}
	}
	return nil
}

// run starts everybody, and returns when all have ended.
func (a *audit) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	j := &judge{
		photos: a.world.photos, quiet: a.cfg.Bound, trouble: a.trouble, broken: a.tally.broke, stale: a.tally.late,
	}
	writes, looks := pace(a.cfg.Rate), pace(a.cfg.LookRate)
	var judges, others sync.WaitGroup
	for range 2 {
		judges.Go(func() {
			for o := range a.queue {
				j.judge(o)
			}
		})
	}
	for n := range a.cfg.Observers {
		others.Go(func() { a.observe(ctx, n, looks) })
	}
	others.Go(func() { a.lookAsWriter(ctx, looks) })
	if len(a.cfg.Faults) > 0 {
		others.Go(func() {
			a.trouble.run(ctx, a.cfg.Faults, a.cfg.FaultEvery, rand.New(rand.NewPCG(a.cfg.Seed, drawFault)))
		})
	}
	others.Go(func() { a.watch(ctx, stop) })
	var writers errgroup.Group
	for range a.cfg.Writers {
		writers.Go(func() error {
			err := a.writeOn(ctx, writes)
			if err != nil {
				stop()
			}
			return err
		})
	}
	err := writers.Wait()
	others.Wait()
	close(a.queue)
	judges.Wait()
	return err
}

// pace lets so many through a second, all if it is 0.
func pace(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Limit(perSecond), 10)
}

// writeOn carries out decisions until there are enough, or ctx ends. A write that was begun is seen through.
func (a *audit) writeOn(ctx context.Context, limit *rate.Limiter) error {
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

// watch tells how far the audit is, and ends it when it has gone far enough.
func (a *audit) watch(ctx context.Context, stop func()) {
	began, told := a.now(), a.now()
	for ctx.Err() == nil {
		sleep.For(ctx, 50*time.Millisecond)
		p := Progress{Took: a.now() - began}
		p.Writes, p.Observations, p.Violations = a.tally.counts()
		if a.cfg.Progress != nil && a.now()-told >= progressEvery {
			told = a.now()
			a.cfg.Progress(p)
		}
		counted := a.cfg.Writes > 0 || a.cfg.Observations > 0
		if a.cfg.Duration > 0 && p.Took >= a.cfg.Duration ||
			counted && p.Writes >= a.cfg.Writes && p.Observations >= a.cfg.Observations && a.trouble.over() >= len(
				a.cfg.Faults,
			) ||
			a.cfg.StopAtViolation && p.Violations > 0 {
			stop()
		}
	}
}

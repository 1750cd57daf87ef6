package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"flickrkillr/schema/sleep"
)

// viewsBytes bounds the memory for pages that have been read.
const viewsBytes = 64 << 20

// grace is what the last requests get beyond their time limit, so that they run into that and are not cut.
const grace = 5 * time.Second

// run is one run of the benchmark: what all its visitors share.
type run struct {
	cfg       Config
	edges     []edge
	zipf      *zipf
	reads     bool // whether what a page needs and links to is of interest
	views     *otter.Cache[string, *view]
	buffers   sync.Pool
	recorders []*recorder
	visits    atomic.Uint64 // begun

	opened, again, dropped atomic.Int64

	began time.Time // when visitors begin,
	from  time.Time // when counting does,
	end   time.Time // and when nothing new begins
}

// Run visits until the time is over or ctx ends, and says what there was to see. What is under way at the end of the
// time is finished, or given up a little after the time limit of a request; at the end of ctx it is cut. An interrupted
// run is no error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	r := newRun(cfg)
	defer r.views.StopAllGoroutines()
	if err := r.knock(ctx); err != nil {
		return nil, err
	}
	work, cut := context.WithCancel(ctx)
	defer cut()
	r.began = time.Now()
	r.from = r.began.Add(cfg.Warmup)
	r.end = r.from.Add(cfg.Duration)
	var visitors sync.WaitGroup
	r.start(work, &visitors)
	w := r.watch(ctx)
	overtime := time.AfterFunc(cfg.Timeout+grace, cut)
	defer overtime.Stop()
	visitors.Wait()
	r.take(w.total)
	return r.result(w), nil
}

func newRun(cfg Config) *run {
	r := &run{cfg: cfg, zipf: newZipf(len(cfg.Pages), cfg.Exponent), reads: !cfg.PagesOnly || cfg.VisitPages > 1}
	for _, text := range cfg.Edges {
		e, _ := parseEdge(text) // checked by complete
		r.edges = append(r.edges, e)
	}
	r.buffers.New = func() any { b := make([]byte, 0, 8<<10); return &b }
	r.views = otter.Must(&otter.Options[string, *view]{
		MaximumWeight: viewsBytes,
		Weigher:       func(path string, v *view) uint32 { return v.weight() + uint32(len(path)) },
	})
	for range min(cfg.Visitors, 4*runtime.GOMAXPROCS(0)) {
		r.recorders = append(r.recorders, &recorder{t: newTally()})
	}
	return r
}

func (r *run) buffer() *[]byte { return r.buffers.Get().(*[]byte) }

// measured says whether what begins at a moment counts.
func (r *run) measured(at time.Time) bool { return !at.Before(r.from) }

// knock connects to each edge, so that a wrong address is told at once and not counted a thousand times.
func (r *run) knock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, e := range r.edges {
		conn, err := r.cfg.dial(ctx, "tcp", e.addr)
		if err != nil {
			return fmt.Errorf("bench: no edge answers at %s: %w", e.url, err)
		}
		if err := conn.Close(); err != nil {
			return fmt.Errorf("bench: %s: %w", e.url, err)
		}
	}
	return nil
}

// start sets the visitors going. They end by themselves when the time is over, or with ctx.
func (r *run) start(ctx context.Context, visitors *sync.WaitGroup) {
	var arrivals chan arrival
	if r.cfg.Rate > 0 {
		arrivals = make(chan arrival, max(r.cfg.Visitors, int(r.cfg.Rate*backlog.Seconds())))
		visitors.Go(func() { r.dispatch(ctx, arrivals) })
	}
	for i := range r.cfg.Visitors {
		visitors.Go(func() {
			v := r.newVisitor(i)
			defer v.client.close()
			if arrivals != nil {
				v.answerArrivals(ctx, arrivals)
			} else {
				v.comeBackAndBack(ctx, i)
			}
		})
	}
}

// answerArrivals is the open loop: pages begin when they are due.
func (v *visitor) answerArrivals(ctx context.Context, arrivals <-chan arrival) {
	for a := range arrivals {
		if ctx.Err() != nil {
			return
		}
		if v.run.measured(a.at) {
			v.rec.began(a, time.Now())
		}
		v.look(ctx, a.at)
	}
}

// comeBackAndBack is the closed loop: a page begins when the one before is done.
func (v *visitor) comeBackAndBack(ctx context.Context, number int) {
	rng := rand.New(rand.NewPCG(v.run.cfg.Seed, uint64(number)))
	think := v.run.cfg.Think
	if think > 0 && !sleep.For(ctx, time.Duration(rng.Int64N(int64(think)))) { // visitors do not come in step
		return
	}
	for now := time.Now(); now.Before(v.run.end) && ctx.Err() == nil; now = time.Now() {
		v.look(ctx, now)
		if think > 0 && !sleep.For(ctx, min(think, time.Until(v.run.end))) {
			return
		}
	}
}

// take moves what has been counted since the last time.
func (r *run) take(to *tally) {
	for _, rec := range r.recorders {
		rec.takeInto(to)
	}
}

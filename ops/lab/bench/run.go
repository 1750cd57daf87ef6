package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"flickrkillr/schema/sleep"
)

// viewsBytes bounds the memory for parsed pages.
const viewsBytes = 64 << 20

// grace is how much longer than their time limit the last requests may take, so that they time out and are not cut.
const grace = 5 * time.Second

// run is one run of the benchmark: what all visitors share.
type run struct {
	cfg          Config
	edges        []edge
	zipf         *zipf
	needsContent bool // whether needs and links of pages are used
	parsedPages  *otter.Cache[string, *parsedPage]
	buffers      sync.Pool
	transports   []*http.Transport // of HTTP/2, each for the visitors who share a connection
	recorders    []*recorder
	visits       atomic.Uint64 // begun

	opened, repeated, dropped atomic.Int64
	tries                     tries

	turns    *turns       // nil: visitors take none
	requests atomic.Int64 // done

	phase   atomic.Int32 // a part: whether the storm is still to come, runs, or is over
	stormed *Storm       // what came of it

	began time.Time // start of the visitors
	from  time.Time // start of the counted time
	end   time.Time // end of the counted time: nothing begins after it
}

// Run visits until the time is over or ctx ends. Requests in flight at the end of the time are completed, or cut a
// little after their time limit; at the end of ctx they are cut. An interrupted run is no error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	r := newRun(cfg)
	defer r.parsedPages.StopAllGoroutines()
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	work, cut := context.WithCancel(ctx)
	defer cut()
	r.began = time.Now()
	r.from = r.began.Add(cfg.Warmup)
	r.end = r.from.Add(cfg.Duration)
	var visitors sync.WaitGroup
	r.start(work, &visitors)
	if r.turns != nil {
		visitors.Go(func() { r.takeTurns(work) })
	}
	if cfg.Storm != nil {
		visitors.Go(func() {
			if sleep.For(work, time.Until(r.from.Add(cfg.Duration/2))) {
				r.storm(work)
			}
		})
	}
	w := r.watch(ctx)
	overtime := time.AfterFunc(cfg.Timeout+grace, cut)
	defer overtime.Stop()
	visitors.Wait()
	r.drain(w.total)
	return r.result(w), nil
}

func newRun(cfg Config) *run {
	r := &run{cfg: cfg, zipf: newZipf(len(cfg.Pages), cfg.Exponent), needsContent: !cfg.PagesOnly || cfg.VisitPages > 1}
	for _, text := range cfg.Edges {
		e, _ := parseEdge(text) // checked by complete
		r.edges = append(r.edges, e)
	}
	for first := 0; cfg.HTTP2 && first < cfg.Visitors; first += cfg.Streams {
		r.transports = append(r.transports, newTransport(&r.cfg, r.edges[len(r.transports)%len(r.edges)], &r.opened))
	}
	r.phase.Store(int32(partBefore))
	if cfg.Turns > 0 {
		r.turns = newTurns()
	}
	r.buffers.New = func() any { b := make([]byte, 0, 8<<10); return &b }
	r.parsedPages = otter.Must(&otter.Options[string, *parsedPage]{
		MaximumWeight: viewsBytes,
		Weigher:       func(path string, v *parsedPage) uint32 { return v.weight() + uint32(len(path)) },
	})
	for range min(cfg.Visitors, 4*runtime.GOMAXPROCS(0)) {
		r.recorders = append(r.recorders, &recorder{t: newTally()})
	}
	return r
}

func (r *run) buffer() *[]byte { return r.buffers.Get().(*[]byte) }

// measured reports whether what begins at a time is counted.
func (r *run) measured(at time.Time) bool { return !at.Before(r.from) }

// preflight connects to each edge, so that a wrong address is one error and not a thousand failures.
func (r *run) preflight(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, e := range r.edges {
		conn, err := r.cfg.Dial(ctx, "tcp", e.addr)
		if err != nil {
			return fmt.Errorf("bench: no edge answers at %s: %w", e.url, err)
		}
		if err := conn.Close(); err != nil {
			return fmt.Errorf("bench: %s: %w", e.url, err)
		}
	}
	return nil
}

// start starts the visitors. They end when the time is over, or with ctx.
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
				v.openLoop(ctx, arrivals)
			} else {
				v.closedLoop(ctx, i)
			}
		})
	}
}

// openLoop begins each page when it is due.
func (v *visitor) openLoop(ctx context.Context, arrivals <-chan arrival) {
	for a := range arrivals {
		if ctx.Err() != nil {
			return
		}
		if v.run.measured(a.at) {
			v.rec.began(a, time.Now())
		}
		v.viewPage(ctx, a.at)
	}
}

// closedLoop begins a page when the one before is done.
func (v *visitor) closedLoop(ctx context.Context, number int) {
	rng := rand.New(rand.NewPCG(v.run.cfg.Seed, uint64(number)))
	think := v.run.cfg.Think
	if think > 0 && !sleep.For(ctx, time.Duration(rng.Int64N(int64(think)))) { // visitors do not come in step
		return
	}
	for now := time.Now(); now.Before(v.run.end) && ctx.Err() == nil; now = time.Now() {
		if turns := v.run.turns; turns == nil {
			v.viewPage(ctx, now)
		} else if turns.begin(v.kind) {
			v.viewPage(ctx, time.Now())
			turns.end()
		} else {
			return
		}
		if think > 0 && !sleep.For(ctx, min(think, time.Until(v.run.end))) {
			return
		}
	}
}

// drain moves what the visitors have recorded into to.
func (r *run) drain(to *tally) {
	for _, rec := range r.recorders {
		rec.moveTo(to)
	}
}

package bench

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is the result of a run. Times are in milliseconds. Percentiles are of right answers and of timeouts; without
// timeouts the slowest would be missing.
type Result struct {
	Setup       Setup     `json:"setup"`
	Began       time.Time `json:"began"`
	Seconds     float64   `json:"seconds"` // that counted
	Interrupted bool      `json:"interrupted"`

	PagesPerSecond    float64 `json:"pages_per_second"` // done within those seconds, right or wrong; so for requests
	RequestsPerSecond float64 `json:"requests_per_second"`
	Pages             int64   `json:"pages"`    // that began within them; so for all that follows
	Requests          int64   `json:"requests"` // of any kind
	Bytes             int64   `json:"bytes"`    // of bodies as they travelled
	Visits            int64   `json:"visits"`   // begun, also while warming up
	Connections       int64   `json:"connections"`
	Repeated          int64   `json:"repeated"` // requests on a kept connection that the server had closed, made again on another

	// Tries that failed before the visitor asked another edge, see [Config.Patience]. The page may have come then.
	Tries []Failure `json:"failed_tries,omitempty"`

	Kinds    []Kind    `json:"kinds"`
	Failed   int64     `json:"failed"`
	Failures []Failure `json:"failures"`
	Refused  Times     `json:"refused"` // those failures that were a 503 with Retry-After
	Cut      int64     `json:"cut"`     // requests under way when everything ended; nothing is known about them
	Arrivals *Arrivals `json:"arrivals,omitempty"`
	Parts    []Part    `json:"parts,omitempty"` // signed in and not, before a storm and during it
	Storm    *Storm    `json:"storm,omitempty"`

	Comparison *Comparison `json:"comparison,omitempty"` // of visitors who are signed in and others, by turns

	Servers    []CPU   `json:"servers"`
	Generator  CPU     `json:"generator"`
	CPUUnknown string  `json:"cpu_unknown,omitempty"` // why processor time, or some of it, is not known
	Series     []Point `json:"series"`
}

// Setup is how the run was configured, as shown in every form of the result.
type Setup struct {
	Edges      []string `json:"edges"`
	Loop       string   `json:"loop"` // "closed" or "open"
	Visitors   int      `json:"visitors"`
	Rate       float64  `json:"rate,omitempty"`
	Even       bool     `json:"even,omitempty"`
	Think      float64  `json:"think,omitempty"` // seconds
	Warmup     float64  `json:"warmup"`          // seconds
	Protocol   string   `json:"protocol"`
	PagesOnly  bool     `json:"pages_only"`
	VisitPages int      `json:"visit_pages"`
	KeepConns  bool     `json:"keep_connections"`
	Pages      int      `json:"pages"` // to begin with
	Exponent   float64  `json:"exponent"`
	Seed       uint64   `json:"seed"`
	Viewport   Viewport `json:"viewport"`
	Screens    float64  `json:"screens"`
	SignedIn   float64  `json:"signed_in,omitempty"` // percent of the visitors
	Turns      float64  `json:"turns,omitempty"`     // seconds
	TimeLimit  float64  `json:"time_limit"`          // seconds
}

// Kind has the figures of pages, static files, pictures, or complete pages.
type Kind struct {
	Name         string           `json:"name"`
	Answers      int64            `json:"answers"`
	Bytes        int64            `json:"bytes"`
	Tiers        map[string]int64 `json:"tiers,omitempty"` // answers by X-Cache
	Times        Times            `json:"times"`
	Distribution []Quantile       `json:"distribution"`
}

// Times are latencies in milliseconds.
type Times struct {
	Count   int64   `json:"count"`
	Average float64 `json:"average"`
	P50     float64 `json:"p50"`
	P95     float64 `json:"p95"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p99_9"`
	Max     float64 `json:"max"`
}

// Quantile says that all answers but one in OneIn were at most this slow.
type Quantile struct {
	OneIn  float64 `json:"one_in"`
	Millis float64 `json:"millis"`
}

// Failure is a kind of failure, how often it occurred, and the first one.
type Failure struct {
	Kind    string `json:"kind"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
}

// Arrivals says how well the generator kept to the times of an open loop.
type Arrivals struct {
	Late    int64   `json:"late"`    // pages that began more than 10 ms late because the generator was
	Waited  int64   `json:"waited"`  // because no visitor was free: the server, or --visitors, was the limit
	Dropped int64   `json:"dropped"` // that never began, since 10 s of the rate were waiting
	Worst   float64 `json:"worst"`   // milliseconds
}

// Point has the figures of a part of the counted time.
type Point struct {
	At       float64 `json:"at"` // its end, in seconds
	Pages    float64 `json:"pages_per_second"`
	Requests float64 `json:"requests_per_second"`
	Failed   int64   `json:"failed"`
	Refused  int64   `json:"refused"` // of those that failed: a 503 with Retry-After
	Stale    int64   `json:"stale"`   // right answers that were marked as stale
	Rendered int64   `json:"rendered"`
	P50      float64 `json:"p50"` // of pages that were done then; 0 if none was
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
}

func newPoint(part *tally, at, took time.Duration) Point {
	times := part.times[classPage]
	return Point{At: at.Seconds(), Pages: float64(part.donePages) / took.Seconds(),
		Requests: float64(part.doneRequests) / took.Seconds(),
		Failed:   part.failed(), Refused: part.times[timeRefused].TotalCount(),
		Stale: part.tiers[classPage]["stale"], Rendered: part.tiers[classPage]["render"],
		P50: millis(times.ValueAtQuantile(50)), P99: millis(times.ValueAtQuantile(99)), Max: millis(times.Max())}
}

func millis(micros int64) float64 { return float64(micros) / 1000 }

func newTimes(h *hdrhistogram.Histogram) Times {
	return Times{Count: h.TotalCount(), Average: h.Mean() / 1000, P50: millis(h.ValueAtQuantile(50)),
		P95: millis(h.ValueAtQuantile(95)),
		P99: millis(h.ValueAtQuantile(99)), P999: millis(h.ValueAtQuantile(99.9)), Max: millis(h.Max())}
}

// distribution has twenty points for every power of ten, up to a single answer.
func distribution(h *hdrhistogram.Histogram) []Quantile {
	var all []Quantile
	for i := 0; ; i++ {
		oneIn := math.Pow(10, float64(i)/20)
		if oneIn > float64(h.TotalCount()) {
			return all
		}
		all = append(all, Quantile{oneIn, millis(h.ValueAtQuantile(100 - 100/oneIn))})
	}
}

// result computes the result from what watch collected.
func (r *run) result(w *watched) *Result {
	t := w.total
	res := &Result{Setup: r.setup(), Began: r.from, Seconds: w.took.Seconds(), Interrupted: w.interrupted,
		Visits:      int64(r.visits.Load()),
		Connections: r.opened.Load(), Repeated: r.repeated.Load(), Failed: t.failed(), Cut: t.cut, Series: w.series,
		Parts: r.parts(t), Storm: r.stormed, Refused: newTimes(t.times[timeRefused])}
	if res.Seconds > 0 {
		res.PagesPerSecond = float64(w.inTime.donePages) / res.Seconds
		res.RequestsPerSecond = float64(w.inTime.doneRequests) / res.Seconds
	}
	for c := range classes {
		res.Requests += t.answered[c]
		res.Bytes += t.bytes[c]
		if t.answered[c] > 0 {
			res.Kinds = append(res.Kinds, Kind{Name: classNames[c], Answers: t.answered[c], Bytes: t.bytes[c],
				Tiers: t.tiers[c],
				Times: newTimes(t.times[c]), Distribution: distribution(t.times[c])})
		}
	}
	res.Pages = t.answered[classPage]
	if loads := t.times[timeLoad]; loads.TotalCount() > 0 {
		res.Kinds = append(
			res.Kinds,
			Kind{
				Name: KindLoad, Answers: loads.TotalCount(), Times: newTimes(loads), Distribution: distribution(loads),
			},
		)
	}
	res.Failures, res.Tries = mostFirst(t.failures), mostFirst(r.tries.all())
	if r.cfg.Rate > 0 {
		res.Arrivals = &Arrivals{
			Late: t.late, Waited: t.waited, Dropped: r.dropped.Load(), Worst: millis(t.worst.Microseconds()),
		}
	}
	if r.turns != nil {
		res.Comparison = r.turns.comparison()
	}
	res.Servers = spent(w.before, w.after, w.inTime.doneRequests, w.inTime.donePages)
	res.Generator = newCPU("generator", 1, w.after.self-w.before.self, w.inTime.doneRequests, w.inTime.donePages)
	if res.CPUUnknown = w.after.unknown; res.CPUUnknown == "" {
		res.CPUUnknown = w.before.unknown
	}
	return res
}

// KindLoad is the name of the kind "page with everything that it needed".
const KindLoad = "page, complete"

// ServersPerRequest is the processor time of all server processes per request, in microseconds.
func (res *Result) ServersPerRequest() float64 {
	sum := 0.0
	for _, c := range res.Servers {
		sum += c.PerRequest
	}
	return sum
}

// Kind returns a kind by name, or an empty one.
func (res *Result) Kind(name string) Kind {
	for _, k := range res.Kinds {
		if k.Name == name {
			return k
		}
	}
	return Kind{Name: name}
}

func (r *run) setup() Setup {
	cfg := &r.cfg
	s := Setup{Edges: cfg.Edges, Loop: "closed", Visitors: cfg.Visitors, Rate: cfg.Rate, Even: cfg.Even,
		Think:  cfg.Think.Seconds(),
		Warmup: cfg.Warmup.Seconds(), Protocol: "HTTP/1.1", PagesOnly: cfg.PagesOnly, VisitPages: cfg.VisitPages,
		KeepConns: cfg.KeepConnections,
		Pages:     len(cfg.Pages), Exponent: cfg.Exponent, Seed: cfg.Seed, Viewport: cfg.Viewport, Screens: cfg.Screens,
		TimeLimit: cfg.Timeout.Seconds(), SignedIn: cfg.SignedIn, Turns: cfg.Turns.Seconds()}
	if cfg.Rate > 0 {
		s.Loop = "open"
	}
	if cfg.HTTP2 {
		s.Protocol = "HTTP/2"
	}
	return s
}

package renderer

import (
	"maps"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// stats counts what one endpoint did. It is safe for concurrent use.
type stats struct {
	mu         sync.Mutex
	requests   int            // answered, whatever the answer
	errors     map[string]int // of those, by error code
	lastError  string
	processing time.Duration // in a worker, over all requests
	turns      int           // of a worker, each answering one or more requests
	inTurns    int           // requests that were answered in them
	queued     int
	inFlight   int
	whole      recent // from a request's arrival to its reply
	queue      recent // of that, waiting for a worker
}

// report is shown by `nats micro info renderer` and `nats micro stats renderer --json` beside the columns that all
// services have. Times are those of the last WindowSeconds.
type report struct {
	Requests       int            `json:"requests"`
	Errors         map[string]int `json:"errors"`
	InFlight       int            `json:"in_flight"`
	Queued         int            `json:"queued"`
	WindowSeconds  float64        `json:"window_s"`
	WindowRequests int64          `json:"window_requests"`
	P50            float64        `json:"p50_ms"`
	P95            float64        `json:"p95_ms"`
	P99            float64        `json:"p99_ms"`
	Max            float64        `json:"max_ms"`
	QueueP50       float64        `json:"queue_wait_p50_ms"`
	QueueP99       float64        `json:"queue_wait_p99_ms"`
	Batches        int            `json:"batches"`
	MeanBatch      float64        `json:"mean_batch"` // requests answered by one turn of a worker
}

func (s *stats) enqueued() {
	s.mu.Lock()
	s.queued++
	s.mu.Unlock()
}

// taken counts n requests of the endpoint that a worker took at once.
func (s *stats) taken(n int) {
	s.mu.Lock()
	s.queued -= n
	s.inFlight += n
	s.turns++
	s.inTurns += n
	s.mu.Unlock()
}

// requeued counts a request that a worker passed to another pool.
func (s *stats) requeued() {
	s.mu.Lock()
	s.inFlight--
	s.queued++
	s.mu.Unlock()
}

// answered counts a reply. whole is the time from arrival to reply, queue the part of it in the queue; code is "" for
// an envelope.
func (s *stats) answered(now time.Time, whole, queue time.Duration, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	s.requests++
	s.processing += whole - queue
	s.whole.record(now, whole)
	s.queue.record(now, queue)
	if code != "" {
		s.fail(code)
	}
}

// refused counts a reply to a request that no worker took.
func (s *stats) refused(code string, wasQueued bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wasQueued {
		s.queued--
	}
	s.requests++
	s.fail(code)
}

func (s *stats) fail(code string) {
	if s.errors == nil {
		s.errors = map[string]int{}
	}
	s.errors[code]++
	s.lastError = code
}

// totals returns the columns that all services have.
func (s *stats) totals() (requests, failed int, lastError string, processing time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.errors {
		failed += n
	}
	return s.requests, failed, s.lastError, s.processing
}

func (s *stats) report(now time.Time) report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := report{
		Requests: s.requests, Errors: maps.Clone(s.errors), InFlight: s.inFlight, Queued: s.queued, Batches: s.turns,
	}
	if r.Errors == nil {
		r.Errors = map[string]int{}
	}
	if s.turns > 0 {
		r.MeanBatch = math.Round(100*float64(s.inTurns)/float64(s.turns)) / 100
	}
	whole := s.whole.merged(now)
	if whole == nil {
		return r
	}
	r.WindowRequests = whole.TotalCount()
	r.WindowSeconds = math.Round(now.Sub(s.whole.started(now)).Seconds()*10) / 10
	r.P50, r.P95, r.P99, r.Max = millis(whole, 50), millis(whole, 95), millis(whole, 99), millis(whole, 100)
	if queue := s.queue.merged(now); queue != nil {
		r.QueueP50, r.QueueP99 = millis(queue, 50), millis(queue, 99)
	}
	return r
}

func millis(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtPercentile(percentile)) / 1000
}

// window is how long a histogram is written to. Reports cover the current and the previous one, so 30 to 60 s: enough
// for a p99, recent enough to show the present.
const window = 30 * time.Second

// recent is a histogram of the last one to two windows, in microseconds with two significant digits, up to maxLatency.
type recent struct {
	current, previous *hdrhistogram.Histogram
	began             time.Time // of current
}

const maxLatency = time.Minute

func (r *recent) record(now time.Time, d time.Duration) {
	r.turn(now)
	if r.current == nil {
		r.current = hdrhistogram.New(1, maxLatency.Microseconds(), 2)
	}
	// It fails for what is out of range only, which min and max prevent.
	_ = r.current.RecordValue(min(max(d, 0), maxLatency).Microseconds())
}

// turn starts a new window when the current one is over.
func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.began); {
	case age < window:
		return
	case age < 2*window:
		r.current, r.previous = r.previous, r.current
		r.began = r.began.Add(window)
	default: // neither holds anything recent
		r.previous, r.began = nil, now
	}
	if r.current != nil {
		r.current.Reset()
	}
}

// merged returns the histogram of both windows, nil if they are empty.
func (r *recent) merged(now time.Time) *hdrhistogram.Histogram {
	r.turn(now)
	all := hdrhistogram.New(1, maxLatency.Microseconds(), 2)
	for _, h := range [...]*hdrhistogram.Histogram{r.current, r.previous} {
		if h != nil {
			all.Merge(h)
		}
	}
	if all.TotalCount() == 0 {
		return nil
	}
	return all
}

// started is the start of the time that merged covers.
func (r *recent) started(now time.Time) time.Time {
	if r.previous != nil && r.previous.TotalCount() > 0 {
		return r.began.Add(-window)
	}
	if r.began.After(now) {
		return now
	}
	return r.began
}

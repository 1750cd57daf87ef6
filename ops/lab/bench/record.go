package bench

import (
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// class is the kind of what is requested.
type class int

const (
	classPage class = iota
	classStatic
	classPicture
	classes
)

var classNames = [classes]string{"page", "static file", "picture"}

// Further kinds of time, behind those of single requests.
const (
	timeLoad    = int(classes) + iota // a page with all that it needed
	timeRefused                       // a 503 with Retry-After, for anything
	timeKinds
)

// maxTime is the longest time in a histogram; longer ones are counted as this.
const maxTime = 10 * time.Minute

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxTime.Microseconds(), 3) // microseconds, to 0.1%
}

// tally holds counts and times.
type tally struct {
	times    [timeKinds]*hdrhistogram.Histogram // of right answers, and of timeouts
	answered [classes]int64                     // right or wrong
	bytes    [classes]int64                     // of bodies as received
	tiers    [classes]map[string]int64          // answers by X-Cache
	failures map[string]Failure                 // by kind
	late     int64                              // pages that the generator began too late
	waited   int64                              // pages that waited for a free visitor
	worst    time.Duration                      // longest delay of a page
	cut      int64                              // requests in flight when the run was cut
	parts    [partKinds]partTally

	donePages, doneRequests int64 // by when they ended, for rates and costs
}

func newTally() *tally {
	t := &tally{failures: map[string]Failure{}}
	for i := range t.times {
		t.times[i] = newHistogram()
	}
	for i := range t.tiers {
		t.tiers[i] = map[string]int64{}
	}
	for i := range t.parts {
		t.parts[i].times = newHistogram()
	}
	return t
}

// add adds other to t and empties other.
func (t *tally) add(other *tally) {
	for i, h := range other.times {
		if h.TotalCount() > 0 {
			t.times[i].Merge(h)
			h.Reset()
		}
	}
	for c := range classes {
		t.answered[c] += other.answered[c]
		t.bytes[c] += other.bytes[c]
		for tier, n := range other.tiers[c] {
			t.tiers[c][tier] += n
		}
		clear(other.tiers[c])
	}
	for kind, f := range other.failures {
		f.Count += t.failures[kind].Count
		if first, ok := t.failures[kind]; ok {
			f.Example = first.Example
		}
		t.failures[kind] = f
	}
	clear(other.failures)
	for i := range t.parts {
		t.parts[i].add(&other.parts[i])
	}
	t.late += other.late
	t.waited += other.waited
	t.worst = max(t.worst, other.worst)
	t.cut += other.cut
	t.donePages += other.donePages
	t.doneRequests += other.doneRequests
	*other = tally{times: other.times, tiers: other.tiers, failures: other.failures, parts: other.parts}
}

func (t *tally) failed() (n int64) {
	for _, f := range t.failures {
		n += f.Count
	}
	return n
}

// recorder is a tally that a few visitors write to and one goroutine empties. There are several for each processor, so
// that visitors seldom wait for one another.
type recorder struct {
	mu sync.Mutex
	t  *tally
}

// moveTo adds everything to t, and empties the recorder.
func (r *recorder) moveTo(t *tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.add(r.t)
}

// request counts an answer, or a failure. counted: the request began in the counted time. interrupted: it was cut when
// the run ended. in is what it belongs to besides.
func (r *recorder) request(
	c class, counted, interrupted bool, took time.Duration, a answer, url string, err error, in partSet,
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if interrupted {
		r.t.cut++
		return
	}
	r.t.doneRequests++
	if c == classPage {
		r.t.donePages++
	}
	if !counted {
		return
	}
	r.t.answered[c]++
	r.t.bytes[c] += int64(len(a.body))
	if a.tier != "" {
		r.t.tiers[c][a.tier]++
	}
	kind := ""
	if err != nil {
		kind = r.fail(c, url, err)
	}
	if err == nil || kind == kindTimeout {
		r.time(int(c), took)
	}
	if a.refused {
		r.time(timeRefused, took)
	}
	for p := range partKinds {
		if in.has(p) {
			r.t.parts[p].request(c, took, a.tier, kind)
		}
	}
}

// request counts an answer; failure is the kind of its failure, "" if it is right.
func (p *partTally) request(c class, took time.Duration, tier, failure string) {
	p.requests++
	if failure != "" {
		p.failed++
	}
	if c != classPage {
		return
	}
	p.pages++
	if tier == "near" || tier == "memcached" {
		p.hits++
	}
	if failure == "" || failure == kindTimeout {
		record(p.times, took)
	}
}

func (r *recorder) fail(c class, url string, err error) string {
	kind := kindOf(err)
	f, known := r.t.failures[kind]
	if !known {
		if own := (*failure)(nil); errors.As(err, &own) {
			err = own.err // the kind is stored beside it
		}
		f = Failure{Kind: kind, Example: classNames[c] + " " + url + ": " + err.Error()}
	}
	f.Count++
	r.t.failures[kind] = f
	return kind
}

// load counts the time of a page with everything that it needed.
func (r *recorder) load(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.time(timeLoad, took)
}

func (r *recorder) time(kind int, took time.Duration) {
	record(r.t.times[kind], took)
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	took = min(max(took, time.Microsecond), maxTime)
	_ = h.RecordValue(took.Microseconds()) // within its bounds, it has no error
}

// began counts how late a page began, and why.
func (r *recorder) began(a arrival, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.t.worst = max(r.t.worst, now.Sub(a.at))
	switch {
	case a.sent.Sub(a.at) > lateAfter:
		r.t.late++
	case now.Sub(a.at) > lateAfter:
		r.t.waited++
	}
}

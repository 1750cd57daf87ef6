package audit

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tally collects the report. It is safe for concurrent use.
type tally struct {
	mu          sync.Mutex
	report      Report
	quiet       map[Via]*hdrhistogram.Histogram
	duringFault map[Via]*hdrhistogram.Histogram
	sent        map[Via]*hdrhistogram.Histogram
	ended       *hdrhistogram.Histogram
	endedFault  *hdrhistogram.Histogram
	onProblem   func(Violation)
}

const keptViolations = 20

func newTally(onProblem func(Violation)) *tally {
	t := &tally{
		onProblem: onProblem, quiet: map[Via]*hdrhistogram.Histogram{}, duringFault: map[Via]*hdrhistogram.Histogram{},
		sent: map[Via]*hdrhistogram.Histogram{}, ended: newHistogram(), endedFault: newHistogram(),
	}
	t.report = Report{Writes: map[Via]int64{}, Caches: map[string]int64{}, Failed: map[string]int64{},
		Rules: map[string]int64{},
		Fresh: map[Via]Spread{}, FreshInFault: map[Via]Spread{}, FreshFromSent: map[Via]Spread{},
		FaultBound: FaultBound, People: People{Revoked: map[string]int64{}, Withdrawn: map[string]int64{},
			Links: map[string]int64{}}}
	return t
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

// record records a time, as one within the bounds of the histogram.
func record(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(min(max(1, took.Microseconds()), time.Minute.Microseconds())) // so it has no error
}

func (t *tally) violated(v Violation) {
	t.mu.Lock()
	t.report.Violations++
	t.report.Rules[v.Rule]++
	keep := t.report.Rules[v.Rule] == 1 || len(t.report.First) < keptViolations
	if keep {
		t.report.First = append(t.report.First, v)
	}
	t.mu.Unlock()
	if keep && t.onProblem != nil {
		t.onProblem(v)
	}
}

func (t *tally) late(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Oldest = max(t.report.Oldest, d)
}

func (t *tally) wrote(via Via, unanswered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Writes[via]++
	if unanswered {
		t.report.Unknown++
	}
}

func (t *tally) observed(o *observation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.report
	r.Observations++
	r.Caches[o.cache]++
	if o.target.kind == picturePage {
		if r.Pictures++; o.status == 404 {
			r.PicturesGone++
		}
	}
	if o.notModified {
		r.NotModified++
	}
	if o.signedIn {
		r.People.SignedIn++
	}
	if o.own != nil {
		r.Own++
		if o.stale() {
			r.OwnStale++
		}
	}
}

func (t *tally) failed(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Failed[why]++
}

// arrived records when a write showed at every edge.
func (t *tally) arrived(e *event, shown moment, duringFault bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	note := func(in map[Via]*hdrhistogram.Histogram, took time.Duration) {
		if in[e.via] == nil {
			in[e.via] = newHistogram()
		}
		record(in[e.via], took)
	}
	if duringFault {
		note(t.duringFault, shown-e.acked)
		return
	}
	note(t.quiet, shown-e.acked)
	note(t.sent, shown-e.begun)
}

func (t *tally) unseen() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Unseen++
}

// signedIn counts a session that has begun.
func (t *tally) signedIn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.SignIns++
}

// revoked counts a form that has ended sessions.
func (t *tally) revoked(way string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Revoked[way]++
}

// uploaded counts a photo whose upload was acknowledged.
func (t *tally) uploaded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Uploads++
}

// withdrew counts a photo that its owner took away.
func (t *tally) withdrew(way string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Withdrawn[way]++
}

// linked counts a link that was made.
func (t *tally) linked(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Links[kind]++
}

// sawByLink counts a page or picture that a visitor saw by a link.
func (t *tally) sawByLink() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.SeenByLink++
}

// unlinked counts a link that its owner revoked.
func (t *tally) unlinked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Unlinked++
}

// receipt counts a receipt of a photo, when it is begun and when it is complete.
func (t *tally) receipt(complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if complete {
		t.report.People.Complete++
	} else {
		t.report.People.Receipts++
	}
}

// added counts a photo that was added by a link.
func (t *tally) added() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Added++
}

// refusedLink counts a request that an edge refused by a link that was revoked.
func (t *tally) refusedLink() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.RefusedLinks++
}

// endedAt records how soon all edges refused sessions that had ended.
func (t *tally) endedAt(took time.Duration, duringFault bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if duringFault {
		record(t.endedFault, took)
	} else {
		record(t.ended, took)
	}
}

func (t *tally) unrefused() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.People.Unrefused++
}

// counts returns the numbers of writes, observations and violations so far.
func (t *tally) counts() (writes, observations, violations int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.report.Writes {
		writes += n
	}
	return writes, t.report.Observations, t.report.Violations
}

// sum completes the report.
func (t *tally) sum() *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	for via, h := range t.quiet {
		t.report.Fresh[via] = spread(h)
	}
	for via, h := range t.duringFault {
		t.report.FreshInFault[via] = spread(h)
	}
	for via, h := range t.sent {
		t.report.FreshFromSent[via] = spread(h)
	}
	t.report.People.Ended, t.report.People.EndedInFault = spread(t.ended), spread(t.endedFault)
	return &t.report
}

func spread(h *hdrhistogram.Histogram) Spread {
	at := func(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
	return Spread{N: h.TotalCount(), P50: at(h.ValueAtQuantile(50)), P99: at(h.ValueAtQuantile(99)), Max: at(h.Max())}
}

package bench

import (
	"context"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// part is a part of the answers, which is reported beside the whole: those to visitors of one kind, or to requests of
// one time.
type part int

const (
	partAnonymous part = iota
	partSignedIn
	partBefore // the storm
	partDuring
	partKinds
)

var partNames = [partKinds]string{"anonymous", "signed in", "before the storm", "during the storm"}

// partSet says to which parts an answer belongs.
type partSet uint8

func (s partSet) with(p part) partSet { return s | 1<<p }
func (s partSet) has(p part) bool     { return s&(1<<p) != 0 }

// partTally counts the answers of a part.
type partTally struct {
	requests, failed int64
	pages, hits      int64                   // pages, right or wrong; those from the edge's memory or memcached
	times            *hdrhistogram.Histogram // of pages, as in tally.times
}

func (p *partTally) add(other *partTally) {
	p.requests, p.failed = p.requests+other.requests, p.failed+other.failed
	p.pages, p.hits = p.pages+other.pages, p.hits+other.hits
	if other.times.TotalCount() > 0 {
		p.times.Merge(other.times)
		other.times.Reset()
	}
	*other = partTally{times: other.times}
}

// Part has the figures of a part of the answers. Requests are of any kind; the times are those of pages.
type Part struct {
	Name     string `json:"name"`
	Visitors int    `json:"visitors,omitempty"`
	Requests int64  `json:"requests"`
	Failed   int64  `json:"failed"`
	Pages    int64  `json:"pages"`
	Hits     int64  `json:"hits"` // pages from the memory of an edge or from memcached
	Times    Times  `json:"times"`
}

// HitRate is the part of pages that came from a cache, from 0 to 1.
func (p Part) HitRate() float64 {
	if p.Pages == 0 {
		return 0
	}
	return float64(p.Hits) / float64(p.Pages)
}

// Part returns a part by its name, or an empty one.
func (res *Result) Part(name string) Part {
	for _, p := range res.Parts {
		if p.Name == name {
			return p
		}
	}
	return Part{Name: name}
}

// parts are the figures of the parts that have answers.
func (r *run) parts(t *tally) (all []Part) {
	visitors := [partKinds]int{}
	for i := range r.cfg.Visitors {
		visitors[r.kindOf(i)]++
	}
	for p := range partKinds {
		of := &t.parts[p]
		if of.requests > 0 {
			all = append(all, Part{Name: partNames[p], Visitors: visitors[p], Requests: of.requests, Failed: of.failed,
				Pages: of.pages, Hits: of.hits, Times: newTimes(of.times)})
		}
	}
	return all
}

// kindOf is whether a visitor is signed in: spread evenly over their numbers.
func (r *run) kindOf(visitor int) part {
	share := r.cfg.SignedIn / 100
	if int(float64(visitor+1)*share+1e-9) > int(float64(visitor)*share+1e-9) {
		return partSignedIn
	}
	return partAnonymous
}

// partsOf are the parts that an answer to a visitor of a kind belongs to, if it is requested now.
func (r *run) partsOf(kind part) (in partSet) {
	if r.cfg.SignedIn > 0 {
		in = in.with(kind)
	}
	if r.cfg.Storm != nil {
		switch part(r.phase.Load()) {
		case partBefore:
			in = in.with(partBefore)
		case partDuring:
			in = in.with(partDuring)
		}
	}
	return in
}

// Storm is something that was done to the site in the middle of the counted time.
type Storm struct {
	What     string           `json:"what"`
	Outcomes map[string]int64 `json:"outcomes"` // of its requests
	Seconds  float64          `json:"seconds"`  // that it took
	Times    Times            `json:"times"`    // of its requests
}

// Timer collects the times of a storm's requests. It is not safe for concurrent use.
type Timer struct{ times *hdrhistogram.Histogram }

// NewTimer returns a Timer without times.
func NewTimer() *Timer { return &Timer{newHistogram()} }

// Record records a time.
func (t *Timer) Record(took time.Duration) { record(t.times, took) }

// Times returns the figures of all times.
func (t *Timer) Times() Times { return newTimes(t.times) }

// storm lets the storm come, and says so to visitors meanwhile.
func (r *run) storm(ctx context.Context) {
	r.phase.Store(int32(partDuring))
	s := r.cfg.Storm(ctx)
	r.phase.Store(int32(partKinds)) // what comes after it is of neither part
	r.stormed = &s
}

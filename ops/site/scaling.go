package site

import (
	"cmp"
	"fmt"
	"time"

	"flickrkillr/ops/pool"
)

// When renderers are added and removed.
const (
	// waitTooLong is the wait for a worker from which on more renderers are wanted, of 95% of the requests at most.
	waitTooLong = 20 * time.Millisecond
	// overFor is for how long requests wait too long before renderers are added. A refusal does not wait for that.
	overFor = 2 * time.Second
	// quietFor is for how long one renderer less must be enough before one is removed.
	quietFor = time.Minute
	// quietUse is the part of the workers' time that may be used then, by those that would be left.
	quietUse = 0.5
	// settleFor is the time after a change in which nothing is decided: the queues of before are worked off.
	settleFor = time.Second
	// beginFor bounds the time in which renderers that were added begin to answer.
	beginFor = 30 * time.Second
)

// scaling decides how many renderers a site has. It knows no clock and no site: samples tell it the time.
type scaling struct {
	least, most int
	quietFor    time.Duration // the constant, but for tests

	over    time.Time // since when requests wait too long; zero: they do not
	quiet   time.Time // since when one renderer less would be enough; zero: it would not
	settled time.Time // until then nothing is decided
	grown   time.Time // when renderers were added last
}

// decide returns how many renderers the site should have, which has so many now. load is that of the time since the
// last call.
//
// Under load the number doubles, as nobody knows how much more is needed, and each step costs time in which people
// wait. It shrinks by one, since that is hardly noticed where it is wrong. A pool that is half used at most after that,
// and in which nobody waits, does not grow again for the same load: so the number does not go up and down.
func (s *scaling) decide(now time.Time, have int, load pool.Load) int {
	if now.Before(s.settled) {
		return have
	}
	if load.Renderers < have && !s.grown.IsZero() && now.Before(s.grown.Add(beginFor)) {
		return have // those that were added do not work yet
	}
	if requestsWait(load) {
		s.quiet = time.Time{}
		if s.over.IsZero() {
			s.over = now
		}
		if load.Busy == 0 && now.Sub(s.over) < overFor {
			return have
		}
		return s.change(now, have, min(2*max(have, 1), s.most))
	}
	if load.Known < have {
		return have // it is not known that no request waits: a renderer without time to work answers late
	}
	s.over = time.Time{}
	left := float64(load.Renderers - 1) // others may run besides those of the site
	if load.Wait95 > waitTooLong/2 || left < 1 || load.Used*float64(load.Renderers)/left > quietUse {
		s.quiet = time.Time{}
		return have
	}
	if s.quiet.IsZero() {
		s.quiet = now
	}
	if now.Sub(s.quiet) < s.quietFor {
		return have
	}
	return s.change(now, have, max(have-1, s.least))
}

// requestsWait reports whether requests for pages wait too long, or are refused.
func requestsWait(load pool.Load) bool { return load.Busy > 0 || load.Wait95 > waitTooLong }

func (s *scaling) change(now time.Time, have, want int) int {
	if want != have {
		s.settled = now.Add(settleFor)
		if want > have {
			s.grown = now
		}
		s.over, s.quiet = time.Time{}, time.Time{}
	}
	return want
}

// resources are what further renderers need of this machine and of PostgreSQL.
type resources struct {
	used        float64 // part of the machine's processor time, 0 to 1, without work of a lower priority
	connections int     // that roles may have to PostgreSQL
	others      int     // connections that are no renderer's
	each        int     // that a renderer may open
	renderers   int     // that run, whoever started them
}

// processorsFull is the part of the processors' time from which on a further renderer would only share it.
const processorsFull = 0.95

// room returns how many of n further renderers there is room for, and why there is none for more.
func (r resources) room(n int) (fit int, why string) {
	if r.used >= processorsFull {
		return 0, "the processors are full: a further renderer would have no time to work"
	}
	fit = (r.connections-r.others)/max(r.each, 1) - r.renderers
	if fit >= n {
		return n, ""
	}
	return max(fit, 0), fmt.Sprintf("PostgreSQL would run out of connections: it has %d for roles, of which others "+
		"than renderers use %d, and each of %d renderers may open %d; raise its max_connections and the user's "+
		"CONNECTION LIMIT", r.connections, r.others, cmp.Or(r.renderers, 1), r.each)
}

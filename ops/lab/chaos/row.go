package chaos

import (
	"fmt"
	"slices"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/mutant"
	"flickrkillr/ops/lab/scale"
	"flickrkillr/schema/wire"
)

// Row is one line of the catalogue: something that goes wrong, and what visitors may notice of it.
type Row struct {
	Name    string // what goes wrong, in plain words
	Visitor string // what a visitor may notice
	Why     string // the mechanism that protects visitors

	Setup Setup
	Loads []Load // at once
	Fault Fault
	// Visitors who write, instead of loads, or on machines besides: the audit's. Fault.Every is the longest pause
	// between faults then.
	Writes bool
	Ready  time.Duration // on machines: from the end of a fault until all is as before
	Even   bool          // on machines: connections and requests are even a minute after a fault
	Pause  time.Duration // on machines: between two acknowledged writes, at most
	// Changes are written to the database by hand, so many a second, besides; 0: none.
	Changes int
	Trust   bool // no edge may stop trusting its copies, see killr_edge_feed_stale_seconds_total
	// The rate is so many times what visitors can get who each wait for their page; 0: the rate of the run.
	Overload float64

	Control Control

	Addresses bool // it can be run on a running site: the fault needs nothing but the addresses of the services
}

// Setup is the site of a row.
type Setup struct {
	Machines                     int       // of a fleet, on which all is but pictures; 0: none
	Alone                        wire.Role // a role that the first of them has alone; "": none
	Renderers, Edges, Cachefills int
	NoNear                       bool                       // edges without an in-process cache
	NoMemcached                  bool                       // and no cachefill
	EdgeArgs                     []string                   // flags of the edges
	SlowQueries                  time.Duration              // that each query takes longer; 0: as long as usual
	NoSync                       bool                       // nobody waits until PostgreSQL has written a commit
	Bus                          scale.Line                 // between the roles and NATS
	Bucket                       bool                       // pictures are in a bucket, and people upload
	BusServers                   int                        // servers of NATS, as processes; 0: that of the stack
	Edits                        []mutant.Edit              // of the program; none: this program
	Env                          []string                   // added to the environment of the roles
	EnvOf                        func(name string) []string // and to that of one of them
	program                      string                     // with these edits
}

// broken reports that what goes wrong in a row is its site.
func (s *Setup) broken() bool { return len(s.Edits) > 0 || s.Bus != (scale.Line{}) }

// usual is the site of most rows.
var usual = Setup{Renderers: 4, Edges: 2, Cachefills: 2}

// uncached is a site on which renderers make every page.
var uncached = Setup{Renderers: 4, Edges: 2, NoNear: true, NoMemcached: true}

// Pages are pages of the site to choose from.
type Pages struct {
	Users  []bench.Page // the pages of users, most photos first
	Albums []bench.Page
	// Those of Users whom an audit leaves alone, so that what they show is there. Only of machines.
	Unwritten []bench.Page

	pictures []bench.Page // of rows of a site whose pictures are in a bucket
}

// Load is visitors of one kind.
type Load struct {
	Name     string // "" if the row has only one
	Share    float64
	Pages    func(Pages) []bench.Page // nil: every user's page
	Exponent float64                  // of the Zipf distribution of pages
	Known    bool                     // each edge is asked for each page once, before anything breaks
	Failover bool                     // they go to another edge if theirs cannot be reached
	Patience time.Duration            // or answers nothing for so long; 0: they wait
	Browsers bool                     // each visit is that of a new browser
	Follow   bool                     // they go on to what a page shows; without Pages they do so anyway
	Refusals bool                     // a 503 that says when to retry is a right answer
	Anew     bool                     // each page is asked for on a new connection
	LastEdge bool                     // they visit only the edge that was started last
	Target   Target
}

// Target is what a load may notice at most. A zero time is no target.
type Target struct {
	Bad           float64       // bad answers, as a part of all
	P50           time.Duration // of right answers; so for the next two
	P99, P999     time.Duration
	Max           time.Duration
	Refused       time.Duration // of the slowest 503 that says when to retry
	Recovered     time.Duration // from the end of a fault until all answers are right, fresh, and within P999
	Cached        float64       // answers that a cache has, as a part of all, once CachedWithin has passed
	CachedWithin  time.Duration // since the end of the fault
	Goodput       float64       // right answers per second, as a part of the peak; for rows with Overload
	NoStale       bool          // no stale page is shown
	StaleRequired bool          // at least one stale page is shown: without, the fault did not reach the visitors
}

// Control switches the mechanism of a row off: by another setup, or by a mutant.
type Control struct {
	Off   string // what is switched off
	Setup func(*Setup)
	Edits []mutant.Edit
}

// needsSource reports that the row's site is built from the source tree.
func (r *Row) needsSource() bool { return len(r.Setup.Edits) > 0 }

// NeedSource reports whether a run of these rows builds programs from the source tree, which takes Go. Without controls
// only the rows of wrong clocks do.
func NeedSource(rows []Row, controls bool) bool {
	return slices.ContainsFunc(rows, func(r Row) bool {
		return r.needsSource() || controls && len(r.Control.Edits) > 0
	})
}

// WithoutSource returns the rows that can be run without the source tree.
func WithoutSource(rows []Row) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.needsSource() })
}

// Names lists the rows of the catalogue.
func Names() []string { return namesOf(catalogue()) }

// FleetNames lists the rows of the catalogue of machines; none where machines are not possible.
func FleetNames() []string { return namesOf(fleetRows()) }

func namesOf(rows []Row) (names []string) {
	for _, r := range rows {
		names = append(names, r.Name)
	}
	return names
}

// Find returns the rows with these names, in the order of the catalogue; without names all.
func Find(names []string) ([]Row, error) { return find(catalogue(), names) }

// FindFleet is Find in the catalogue of machines.
func FindFleet(names []string) ([]Row, error) { return find(fleetRows(), names) }

func find(all []Row, names []string) ([]Row, error) {
	if len(names) == 0 {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var rows []Row
	for _, r := range all {
		if wanted[r.Name] {
			rows = append(rows, r)
			delete(wanted, r.Name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("the catalogue has no row %q; rows of machines need --fleet, others need it not", name)
	}
	return rows, nil
}

package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Via is how a write is made.
type Via string

// The ways to make a write.
const (
	Bus  Via = "bus"  // an action, by request on NATS
	Psql Via = "psql" // a statement, as by hand
)

// Violation is an answer that broke a rule, with what is needed to understand it.
type Violation struct {
	Rule    string        `json:"rule"`
	What    string        `json:"what"`
	URL     string        `json:"url"`
	Request string        `json:"request"` // X-Request-Id, as in the logs
	Status  int           `json:"status"`
	Cache   string        `json:"x_cache"`
	Depends string        `json:"x_depends"`
	Begun   time.Duration `json:"begun_ns"` // after the start of the audit
	Ended   time.Duration `json:"ended_ns"`
	Write   string        `json:"write,omitempty"` // the write that the answer contradicts
}

func violation(o *observation, rule string, e *event, what string) Violation {
	v := Violation{
		Rule: rule, What: what, URL: o.target.path, Request: o.id, Status: o.status, Cache: o.cache, Depends: o.depends,
		Begun: o.begin, Ended: o.end,
	}
	if e != nil {
		v.Write = e.String()
	}
	return v
}

func (e *event) String() string {
	return fmt.Sprintf("%s of photo %d of %s by %s at version %d, begun %.6f, acknowledged %.6f s: now %v",
		e.what, e.photo.id, e.photo.owner.name, e.via, e.version, e.begun.Seconds(), e.acked.Seconds(), e.state)
}

func (s state) String() string {
	if !s.public {
		return "not public"
	}
	return fmt.Sprintf("public, title %d, tags %b, albums %b", s.write, s.tags, s.albums)
}

func (v Violation) String() string {
	s := fmt.Sprintf("%s: %s\n    %s: %d from %s, request %s, from %.6f to %.6f s\n    depends on %s",
		v.Rule, v.What, v.URL, v.Status, v.Cache, v.Request, v.Begun.Seconds(), v.Ended.Seconds(), v.Depends)
	if v.Write != "" {
		s += "\n    against the write: " + v.Write
	}
	return s
}

// Spread summarizes a distribution of times.
type Spread struct {
	N   int64         `json:"n"`
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

func (s Spread) String() string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, max %.1f ms (of %d)", ms(s.P50), ms(s.P99), ms(s.Max), s.N)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Report is the result of an audit.
type Report struct {
	Started      time.Time        `json:"started"` // the origin of the times below
	Seed         uint64           `json:"seed"`
	Edges        int              `json:"edges"`
	Owners       int              `json:"owners"` // audited users
	Photos       int              `json:"photos"`
	Took         time.Duration    `json:"took_ns"`
	Writes       map[Via]int64    `json:"writes"`
	Unknown      int64            `json:"writes_looked_up"` // got no answer, and were looked up in Postgres
	Observations int64            `json:"observations"`
	Caches       map[string]int64 `json:"x_cache"`       // answers by X-Cache
	NotModified  int64            `json:"not_modified"`  // answers 304
	Pictures     int64            `json:"pictures"`      // observations of pictures
	PicturesGone int64            `json:"pictures_gone"` // of these, answered 404
	Failed       map[string]int64 `json:"failed"`        // answers without a page: by status, or "no answer"
	Own          int64            `json:"own"`           // page views with the cookie of a write
	OwnStale     int64            `json:"own_stale"`     // of these, answered with a stale copy

	// How often everything was announced to have changed, as after a failover, if failovers were expected.
	Announcements int64 `json:"announcements"`

	Violations int64            `json:"violations"`
	Rules      map[string]int64 `json:"violations_by_rule"`
	First      []Violation      `json:"first_violations"` // the first of each rule, and the first 20

	QuietBound time.Duration `json:"quiet_bound_ns"`
	FaultBound time.Duration `json:"fault_bound_ns"`
	Oldest     time.Duration `json:"oldest_ns"` // largest lag behind an acknowledged write, not marked as stale

	// From the acknowledgement of a write until every edge shows it: until the first request that the last edge
	// answered with it was sent. While no fault was in effect, and while one was.
	Fresh         map[Via]Spread `json:"commit_to_fresh"`
	FreshInFault  map[Via]Spread `json:"commit_to_fresh_in_trouble"`
	FreshFromSent map[Via]Spread `json:"sent_to_fresh"` // from sending; the commit is between sending and acknowledgement
	Unseen        int64          `json:"unseen"`        // not shown by every edge within 10 s

	// Measured without pages: when edges had changes from the stream, however the changes were made, faults or not.
	Notice Notice `json:"commit_to_notice"`

	People People `json:"people"`

	Faults []FaultEvent `json:"faults"`
}

// People says what the audit's people did, and how much was searched for what only one of them may see.
type People struct {
	Accounts int              `json:"accounts"`
	SignIns  int64            `json:"sign_ins"`
	SignedIn int64            `json:"signed_in"` // observations by visitors who are signed in
	Revoked  map[string]int64 `json:"revoked"`   // by the form that ended sessions

	Uploads   int64            `json:"uploads"`   // acknowledged
	Withdrawn map[string]int64 `json:"withdrawn"` // public photos that their owners took away, by the way

	Receipts int64 `json:"receipts"`          // of photos that were deleted for good
	Complete int64 `json:"complete_receipts"` // of these, before the audit ended

	Links        map[string]int64 `json:"links"` // that owners made, by what they lead to
	SeenByLink   int64            `json:"seen_by_link"`
	Unlinked     int64            `json:"revoked_links"`
	Added        int64            `json:"added_by_link"`   // photos
	RefusedLinks int64            `json:"refused_by_link"` // requests by links that were revoked

	// From the acknowledgement of a form that ends sessions until the first request was sent that the last edge
	// refused. While no fault was in effect, and while one was.
	Ended        Spread `json:"end_to_refused"`
	EndedInFault Spread `json:"end_to_refused_in_trouble"`
	Unrefused    int64  `json:"unrefused"` // not refused by every edge within 10 s, or later than the bound

	Secrets int `json:"secrets"` // that were looked for at the end
	// Pages that showed their visitors their own e-mail address, which is one of the secrets.
	Addresses int64 `json:"own_addresses"`
	Shared    int64 `json:"searched_shared"`   // answers for all visitors
	Private   int64 `json:"searched_private"`  // answers for one visitor
	Items     int64 `json:"searched_items"`    // of memcached
	Messages  int64 `json:"searched_messages"` // of the bus

	Large  int64 `json:"large_items"`   // of memcached, over 2 MiB: not searched
	Lost   int64 `json:"lost_messages"` // came faster than they were searched
	Unread int64 `json:"failed_sweeps"` // times that a memcached server could not be read to its end
}

// Write prints the report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-17s"+format+"\n", append([]any{name}, args...)...)
	}
	line(
		"audited", "%s with %s, through %s, for %.1f s, seed %d", Count(r.Owners, "user"), Count(r.Photos, "photo"),
		Count(r.Edges, "edge"), r.Took.Seconds(), r.Seed,
	)
	line(
		"writes", "%d by bus, %d by psql; %d got no answer and were looked up in Postgres",
		r.Writes[Bus], r.Writes[Psql], r.Unknown,
	)
	line(
		"observations", "%d: %s; %d of them 304, %d with the cookie of a write (%d of these stale)", r.Observations,
		list(r.Caches), r.NotModified, r.Own, r.OwnStale,
	)
	line("pictures", "%d of them, %d at an address that had ended", r.Pictures, r.PicturesGone)
	if len(r.Failed) > 0 {
		line("no page", "%s", list(r.Failed))
	}
	for _, via := range slices.Sorted(maps.Keys(r.Fresh)) {
		line("commit to fresh", "by %s, to every edge: %v", via, r.Fresh[via])
		line("", "by %s, from when it was sent: %v", via, r.FreshFromSent[via])
	}
	for _, via := range slices.Sorted(maps.Keys(r.FreshInFault)) {
		line("", "by %s, during faults: %v", via, r.FreshInFault[via])
	}
	if r.Unseen > 0 {
		line("", "%s not seen at every edge within 10 s", Count(int(r.Unseen), "write"))
	}
	line("commit to notice", "at %s: %v", Count(r.Notice.Edges, "edge"), r.Notice)
	line(
		"oldest page", "%.1f ms behind an acknowledged write; the bound is %v, and %v while a fault is in effect",
		ms(r.Oldest), r.QuietBound, r.FaultBound,
	)
	r.People.write(line)
	faults := map[string]int64{}
	for _, f := range r.Faults {
		faults[f.Name]++
		if f.Err != "" {
			line("fault", "%s failed: %s", f.Name, f.Err)
		}
	}
	if len(faults) > 0 {
		line("faults", "%s", list(faults))
	}
	if r.Announcements > 0 {
		line("announcements", "%d that everything may have changed, as after a failover", r.Announcements)
	}
	if r.Violations == 0 {
		line("violations", "0")
	} else {
		line("violations", "%d: %s", r.Violations, list(r.Rules))
		for _, v := range r.First {
			fmt.Fprintf(&b, "  %v\n", v)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *People) write(line func(name, format string, args ...any)) {
	if p.Accounts == 0 {
		return
	}
	line("people", "%s, %d sign-ins; %d observations signed in", Count(p.Accounts, "account"), p.SignIns, p.SignedIn)
	line("photos", "%d uploads; %s; %d of %s complete", p.Uploads, list(p.Withdrawn), p.Complete,
		Count(int(p.Receipts), "receipt"))
	if len(p.Links) > 0 {
		line("links", "%s; %d pages and pictures seen by them, %d photos added; %d revoked, %d requests refused since",
			list(p.Links), p.SeenByLink, p.Added, p.Unlinked, p.RefusedLinks)
	}
	line("ended sessions", "%s", list(p.Revoked))
	line("end to refused", "by every edge: %v", p.Ended)
	if p.EndedInFault.N > 0 {
		line("", "during faults: %v", p.EndedInFault)
	}
	if p.Unrefused > 0 {
		line("", "%d not refused in time by every edge", p.Unrefused)
	}
	line("secrets", "%d, looked for in %d answers for all, %d for one visitor, %d items of memcached, %d messages",
		p.Secrets, p.Shared, p.Private, p.Items, p.Messages)
	if p.Large+p.Lost+p.Unread > 0 {
		line("", "not searched: %d items over 2 MiB, %d messages; %d sweeps of memcached ended early",
			p.Large, p.Lost, p.Unread)
	}
}

// WriteJSON prints the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Count is a number with its noun: "1 edge", "2 edges".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func list(counts map[string]int64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return strings.Join(parts, ", ")
}

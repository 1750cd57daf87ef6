package e2e

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/lab/mutant"
	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
)

// audited runs `killr audit`, of this build or of a mutant, and returns its report and exit status.
func audited(t *testing.T, path string, args ...string) (*audit.Report, int) {
	t.Helper()
	return auditedUntil(t, "", path, args...)
}

// auditedUntil is audited, interrupted when its log contains a text.
func auditedUntil(t *testing.T, text, path string, args ...string) (*audit.Report, int) {
	t.Helper()
	var report audit.Report
	status := runInstrument(t, &report, text, path, append([]string{"audit", "--json", "--edges", "2"}, args...)...)
	return &report, status
}

// bound is one that a slow machine keeps, too: an edge relies on its copies for no longer, whatever the relay does.
const bound = "--bound=4s"

// TestAudit injects every fault, and no visitor sees anything false.
func TestAudit(t *testing.T) {
	t.Parallel()
	r, status := audited(
		t, testenv.Program(t), "--seed", "7", "--writes", "1000", "--observations", "5000", "--view-rate", "200",
		"--fault-every", "1s", bound,
	)
	for _, v := range r.First {
		t.Error(v)
	}
	if status != 0 || r.Violations != 0 {
		t.Errorf("exit status %d, %d violations", status, r.Violations)
	}
	broken := map[string]int{}
	for _, f := range r.Faults {
		broken[f.Name]++
		if f.Err != "" {
			t.Errorf("%s: %s", f.Name, f.Err)
		}
	}
	if len(broken) != len(roles.Faults()) {
		t.Errorf("broken were %v, want all %d things", broken, len(roles.Faults()))
	}
	if p := r.People; p.Accounts == 0 || p.Ended.N+p.EndedInFault.N == 0 || p.SignedIn == 0 || p.Shared == 0 ||
		p.Private == 0 || p.Items == 0 || p.Messages == 0 {
		t.Errorf("not all that people do was there: %+v", p)
	}
	if r.Own == 0 || r.NotModified == 0 || r.Notice.N == 0 ||
		r.Fresh[audit.Psql].N+r.FreshInFault[audit.Psql].N == 0 ||
		r.Writes[audit.Bus] == 0 || r.Writes[audit.Psql] == 0 ||
		r.Caches["near"] == 0 || r.Caches["memcached"] == 0 || r.Caches["render"] == 0 {
		t.Errorf("not all that an audit looks at was there: %+v", r)
	}
}

// TestAuditOfARunningSite changes only photos of the site, and removes the people whom it has signed up.
func TestAuditOfARunningSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1)
	args := append(
		[]string{
			"--writes", "200", "--observations", "2000", "--yes", "--metrics", "http://127.0.0.1:1/metrics", bound,
		},
		s.flags...,
	)
	for _, url := range s.urls {
		args = append(args, "--edge", url)
	}
	r, status := audited(t, testenv.Program(t), args...)
	if status != 0 || r.Violations != 0 || r.Edges != 2 || len(r.Faults) != 0 || r.Observations < 2000 ||
		r.Notice.Err == "" {
		t.Errorf("exit status %d: %+v", status, r)
	}
	left := column[int64](s, "SELECT count(*) FROM users WHERE name LIKE 'killraudit-%'")
	if left[0] != 0 || r.People.Accounts == 0 {
		t.Errorf("of %d people %d are left", r.People.Accounts, left[0])
	}
	var counted int64
	for _, url := range s.roles.DebugURLs(roles.Edge) {
		_, metrics := testenv.Get(t, url+"/metrics")
		for _, m := range signIns.FindAllStringSubmatch(metrics, -1) {
			n, err := strconv.ParseInt(m[1], 10, 64)
			must(t, err)
			counted += n
		}
	}
	if counted != r.People.SignIns {
		t.Errorf("the edges count %d sign-ins, the audit %d", counted, r.People.SignIns)
	}
}

// signIns finds an edge's metric of sign-ins with a right password.
var signIns = regexp.MustCompile(`(?m)^killr_edge_sign_ins_total\{[^}]*outcome="ok"[^}]*\} (\d+)$`)

// TestAuditInterrupted reports what it has measured, and leaves nothing behind.
func TestAuditInterrupted(t *testing.T) {
	t.Parallel()
	r, status := auditedUntil(t, "msg=auditing", testenv.Program(t), "--duration", "10m", "--no-faults", bound)
	if status != 0 || r.Violations != 0 || r.Observations == 0 || r.Took > 5*time.Minute {
		t.Errorf("exit status %d: %+v", status, r)
	}
}

// mistake is one that a mutant makes.
type mistake struct {
	name  string
	edits []mutant.Edit
	rules []string // one of them must be violated
	every bool     // all of them must be
	flags []string
}

// build builds the mutant.
func (m *mistake) build(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	program, err := mutant.Build(t.Context(), root, t.TempDir(), m.edits)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// wiping are flags that wipe the stream after 2 s, and again after at least four times as long. By then the new stream
// is longer than the old one; only then does a follower that has noticed nothing continue.
func wiping() []string { return []string{"--fault", "wipe the stream", "--fault-every", "16s"} }

// TestAuditFindsMistakes proves that the audit can fail: it finds each typical mistake of such a cache.
func TestAuditFindsMistakes(t *testing.T) {
	t.Parallel()
	for _, m := range []mistake{
		{
			name: "versions are not compared",
			edits: []mutant.Edit{
				mutant.Replace("edge/freshness/tracker.go", "d.Version < d.Scope.version.Load()", "d.Version < 0"),
			},
			rules: []string{"back", "own", "fresh"},
			flags: []string{"--no-faults"},
		}, {
			name:  "cookies of writers are ignored",
			edits: []mutant.Edit{mutant.Replace("edge/handler.go", "	x.atLeast = s.tokens.Adopt(r)\n", "")},
			rules: []string{"own"},
			flags: []string{"--no-faults"},
		}, {
			name: "the relay drops what it took",
			edits: []mutant.Edit{mutant.Replace(
				"renderer/relay.go", "	batch := make([]wire.Change, len(changes))\n",
				"	if len(changes) > 0 {\n		return nil\n	}\n	batch := make([]wire.Change, len(changes))\n",
			)},
			rules: []string{"fresh"},
			flags: []string{"--no-faults"},
		}, {
			name: "rows are read before versions",
			edits: []mutant.Edit{
				mutant.Replace(
					"renderer/store/users.go", `return read(ctx, s, "read users", func`,
					`pages, err := read(ctx, s, "read users", func`,
				),
				mutant.Replace("renderer/store/users.go", "names, befores, afters, newest)\n}", `names, befores, afters, newest)
	for i := range pages {
		if pages[i].User != nil && err == nil {
			err = s.pool.QueryRow(ctx, "SELECT version FROM users WHERE name = $1", pages[i].User.Name).Scan(&pages[i].Depends[1].Version)
		}
	}
	return pages, err
}`),
			},
			rules: []string{"label"},
			flags: []string{"--no-faults"},
		}, {
			name: "a stream made anew is not noticed",
			edits: []mutant.Edit{
				mutant.Replace(
					"edge/freshness/feed.go", "!stream.CachedInfo().Created.Equal(created) {",
					"stream.CachedInfo().Created.Equal(created.Add(1)) {",
				),
				mutant.Replace("edge/freshness/feed.go", "last != 0 && seq != last+1 {", "last != 0 && seq == last {"),
			},
			rules: []string{"fresh"},
			flags: wiping(),
		}, {
			name: "an edge does not care that it did not run",
			edits: []mutant.Edit{
				mutant.Replace( // and needs a second to catch up
					"edge/freshness/tracker.go",
					"		t.resumedAt.Store(t.clock.At(now).UnixMicro())\n		t.forgetHeartbeats()\n",
					"		t.mu.Lock()\n		time.AfterFunc(time.Second, t.mu.Unlock)\n",
				),
				mutant.Replace(
					"edge/freshness/tracker.go", "now.UnixNano()-ran > int64(maxPause)",
					"now.UnixNano()-ran > 1<<62",
				),
			},
			rules: []string{"fresh", "gone"},
			flags: []string{"--fault", "freeze an edge", "--fault-every", "1s"},
		}, {
			name: "a frozen relay holds all others up, and an edge needs no heartbeats",
			edits: []mutant.Edit{
				mutant.Replace(
					"renderer/store/pool.go", `"idle_in_transaction_session_timeout": "2s"`,
					`"idle_in_transaction_session_timeout": "1h"`,
				),
				mutant.Replace(
					"edge/freshness/tracker.go", "if t.feedStaleAt(now) && age > staleFeedAge {", "if false {",
				),
			},
			rules: []string{"fresh", "gone"},
			// So many owners that a change of one page rarely makes another page of the same owner known.
			flags: []string{"--fault", "freeze the relay", "--fault-every", "1s", bound, "--owners", "300"},
		}, {
			name: "the database loses what it acknowledged",
			edits: []mutant.Edit{mutant.Replace(
				"ops/stack/stack.go", `Connections: cfg.Connections}`, `Connections: cfg.Connections, Throwaway: true}`,
			)},
			rules: []string{"back", "fresh", "label", "gone", "own"},
			flags: []string{"--fault", "crash PostgreSQL", "--fault-every", "1s"},
		}, {
			name: "an edge keeps private pages, and does not hear that sessions end",
			edits: []mutant.Edit{
				mutant.Replace("edge/private.go", "	\"strconv\"\n", "	\"strconv\"\n	\"sync\"\n"),
				mutant.Replace(
					"edge/private.go",
					"	reply, err := s.askFor(r.Context(), x, kind.Subject(), who, nats.Header{}, data, wire.PageDeadline)\n",
					`	kept, _ := keptPages.Load(kind)
	reply, ok := kept.(*nats.Msg)
	if !ok {
		reply, err = s.askFor(r.Context(), x, kind.Subject(), who, nats.Header{}, data, wire.PageDeadline)
		keptPages.Store(kind, reply)
	}
`,
				),
				mutant.Replace("edge/private.go", "var cachePrivate", "var keptPages sync.Map\n\nvar cachePrivate"),
				mutant.Replace("edge/session/follow.go", "s.known.changed(k)", "_ = k"),
				mutant.Replace("edge/session/follow.go", "s.known.revoke(user)", "_ = user"),
			},
			rules: []string{"secret", "ended"}, every: true, // one program for both, which are found apart
			flags: []string{
				"--no-faults", "--stop-at-violation=false", "--duration", "20s", "--view-rate", "50", "--rate", "10",
			},
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			flags := append([]string{"--duration", "2m", "--stop-at-violation", "--view-rate", "300"}, m.flags...)
			r, status := audited(t, m.build(t), flags...)
			found := slices.DeleteFunc(slices.Clone(m.rules), func(rule string) bool { return r.Rules[rule] == 0 })
			if status != 1 || len(found) == 0 || m.every && len(found) < len(m.rules) {
				t.Errorf("exit status %d, broken were %v after %v, want %v", status, r.Rules, r.Took, m.rules)
			}
			t.Logf("found after %v: %v", r.Took.Round(time.Millisecond), r.Rules)
		})
	}
	t.Run("but not where there is none", func(t *testing.T) {
		t.Parallel()
		r, status := audited(
			t, testenv.Program(t), append([]string{"--duration", "16s", "--stop-at-violation", bound}, wiping()...)...,
		)
		if status != 0 || r.Violations != 0 || len(r.Faults) == 0 {
			t.Errorf("exit status %d: %v", status, r.First)
		}
		for _, f := range r.Faults {
			if f.Err != "" {
				t.Errorf("%s: %s", f.Name, f.Err)
			}
		}
	})
}

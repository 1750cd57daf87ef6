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
	return auditedWith(t, nil, "", path, args...)
}

// auditedWith is audited with more in its environment, interrupted when its log contains the text until ("": never).
func auditedWith(t *testing.T, env []string, until, path string, args ...string) (*audit.Report, int) {
	t.Helper()
	var report audit.Report
	args = append([]string{"audit", "--json", "--edges", "2"}, args...)
	status := runInstrument(t, &report, env, until, path, args...)
	return &report, status
}

// bound is one that a slow machine keeps, too: an edge relies on its copies for no longer, whatever the relay does.
const bound = "--bound=4s"

// TestAudit injects every fault, and no visitor sees anything false.
func TestAudit(t *testing.T) {
	t.Parallel()
	r, status := audited(
		t, testenv.Program(t), "--seed", "7", "--writes", "1000", "--observations", "5000", "--view-rate", "100",
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
		p.Private == 0 || p.Items == 0 || p.Messages == 0 || p.Addresses == 0 ||
		p.Uploads == 0 || len(p.Withdrawn) == 0 {
		t.Errorf("not all that people do was there: %+v", p)
	}
	if p := r.People; len(p.Links) == 0 || p.SeenByLink == 0 || p.Unlinked == 0 || p.Added == 0 || p.RefusedLinks == 0 {
		t.Errorf("not all that links are for was there: %+v", p)
	}
	if r.Own == 0 || r.NotModified == 0 || r.Notice.N == 0 || r.PicturesGone == 0 || r.Pictures == r.PicturesGone ||
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
	if counted < r.People.SignIns { // an audit that ends does not wait for the last answers
		t.Errorf("the edges count %d sign-ins, the audit %d", counted, r.People.SignIns)
	}
}

// signIns finds an edge's metric of sign-ins with a right password.
var signIns = regexp.MustCompile(`(?m)^killr_edge_sign_ins_total\{[^}]*outcome="ok"[^}]*\} (\d+)$`)

// TestAuditInterrupted reports what it has measured, and leaves nothing behind.
func TestAuditInterrupted(t *testing.T) {
	t.Parallel()
	r, status := auditedWith(
		t, nil, "msg=auditing", testenv.Program(t), "--duration", "10m", "--no-faults", bound,
	)
	if status != 0 || r.Violations != 0 || r.Observations == 0 || r.Took > 5*time.Minute {
		t.Errorf("exit status %d: %+v", status, r)
	}
}

// mistake is one that the mutant makes when it is chosen.
type mistake struct {
	name  string
	edits func(chosen string) []mutant.Edit // chosen is true in a process that makes the mistake
	rules []string                          // one of them must be violated
	every bool                              // all of them must be
	flags []string
}

// buildMutant builds one program with all mistakes.
func buildMutant(t *testing.T, mistakes []mistake) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var edits []mutant.Edit
	for _, m := range mistakes {
		edits = append(edits, m.edits(mutant.Chosen(m.name))...)
	}
	program, err := mutant.Build(t.Context(), root, t.TempDir(), edits)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// wiping are flags that wipe the stream after 2 s, and again after at least four times as long. By then the new stream
// is longer than the old one; only then does a follower that has noticed nothing continue.
func wiping() []string { return []string{"--fault", "wipe the stream", "--fault-every", "16s"} }

// typicalMistakes are those of such a cache.
func typicalMistakes() []mistake {
	return []mistake{
		{
			name: "versions are not compared",
			edits: func(chosen string) []mutant.Edit {
				const compare = "d.Version < d.Scope.version.Load()"
				return []mutant.Edit{mutant.Replace("edge/freshness/tracker.go", compare, compare+" && !"+chosen)}
			},
			rules: []string{"back", "own", "fresh"},
			flags: []string{"--no-faults"},
		}, {
			name: "cookies of writers are ignored",
			edits: func(chosen string) []mutant.Edit {
				const adopt = "	x.atLeast = s.tokens.Adopt(r)\n"
				return []mutant.Edit{mutant.Replace("edge/handler.go", adopt, "	if !"+chosen+" {\n"+adopt+"	}\n")}
			},
			rules: []string{"own"},
			flags: []string{"--no-faults"},
		}, {
			name: "the relay drops what it took",
			edits: func(chosen string) []mutant.Edit {
				const end = "	var end pgx.Batch\n"
				drop := "	if " + chosen + " {\n		t.changes = nil\n	}\n"
				return []mutant.Edit{mutant.Replace("renderer/store/relay.go", end, drop+end)}
			},
			rules: []string{"fresh"},
			flags: []string{"--no-faults"},
		}, {
			name: "rows are read before versions",
			edits: func(chosen string) []mutant.Edit {
				return []mutant.Edit{
					mutant.Replace(
						"renderer/store/users.go", `return read(ctx, s, "read users", func`,
						`pages, err := read(ctx, s, "read users", func`,
					),
					mutant.Replace("renderer/store/users.go", "names, befores, afters, newest)\n}",
						`names, befores, afters, newest)
	for i := range pages {
		if pages[i].User != nil && err == nil && `+chosen+` {
			err = s.pool.QueryRow(ctx, "SELECT version FROM users WHERE name = $1", pages[i].User.Name).Scan(&pages[i].Depends[1].Version)
		}
	}
	return pages, err
}`),
				}
			},
			rules: []string{"label"},
			flags: []string{"--no-faults"},
		}, {
			name: "a picture is shown without a look at its photo",
			edits: func(chosen string) []mutant.Edit {
				const look = " AND p.picture = a.picture AND NOT p.private"
				looks := "` + map[bool]string{false: `" + look + "`}[" + chosen + "] + `"
				return []mutant.Edit{mutant.Replace("renderer/store/picture.go", look, looks)}
			},
			rules: []string{"gone", "own"},
			flags: []string{"--no-faults"},
		}, {
			name: "an edge keeps pictures of photos that are gone",
			edits: func(chosen string) []mutant.Edit {
				const gone = "		return b.gone()\n"
				kept := "		return b.gone() && !" + chosen + "\n"
				return []mutant.Edit{mutant.Replace("edge/freshness/tracker.go", gone, kept)}
			},
			rules: []string{"gone", "own"},
			flags: []string{"--no-faults"},
		}, {
			name: "everybody sees uploads that are for their owner alone",
			edits: func(chosen string) []mutant.Edit {
				const private = "Private: file.Private,"
				return []mutant.Edit{
					mutant.Replace("renderer/upload.go", private, "Private: file.Private && !"+chosen+","),
				}
			},
			rules: []string{"secret"},
			flags: []string{"--no-faults"},
		}, {
			name: "an edge takes a gap between batches for none", // having lost all batches, on both ways
			edits: func(chosen string) []mutant.Edit {
				const known = `return batch != "" && c.known[batch]`
				const each = "	for _, c := range changes {\n		f.tracker.Learn(c)\n"
				lose := "	if " + chosen + " && wire.LinkOf(header).Batch != \"\" {\n		return\n	}\n"
				return []mutant.Edit{
					mutant.Replace("edge/freshness/feed.go", each, lose+each),
					mutant.Replace("edge/freshness/chain.go", known,
						`return batch != "" && (`+chosen+` && c.confirmed || c.known[batch])`),
				}
			},
			rules: []string{"fresh"},
			flags: []string{"--no-faults"},
		}, {
			name: "an edge does not care that it did not run",
			edits: func(chosen string) []mutant.Edit {
				const resume = "		t.resumedAt.Store(t.clock.At(now).UnixMicro())\n		t.forgetHeartbeats()\n"
				const pause = "now.UnixNano()-ran > int64(maxPause)"
				late := "		if " + chosen + " {\n			t.mu.Lock()\n" + // and needs a second to catch up
					"			time.AfterFunc(time.Second, t.mu.Unlock)\n		} else {\n" + resume + "		}\n"
				return []mutant.Edit{
					mutant.Replace("edge/freshness/tracker.go", resume, late),
					mutant.Replace("edge/freshness/tracker.go", pause, "!"+chosen+" && "+pause),
				}
			},
			rules: []string{"fresh", "gone", "ended"},
			flags: []string{"--fault", "freeze an edge", "--fault-every", "1s"},
		}, {
			name: "a frozen relay holds all others up, and an edge needs no heartbeats",
			edits: func(chosen string) []mutant.Edit {
				const limit = `"idle_in_transaction_session_timeout": `
				const stale = "t.feedStaleAt(now) && age > staleFeedAge {"
				limits := `map[bool]string{false: "2s", true: "1h"}[` + chosen + `]`
				return []mutant.Edit{
					mutant.Replace("renderer/store/pool.go", limit+`"2s"`, limit+limits),
					mutant.Replace("edge/freshness/tracker.go", stale, "!"+chosen+" && "+stale),
				}
			},
			rules: []string{"fresh", "gone"},
			// So many owners that a change of one page rarely makes another page of the same owner known.
			flags: []string{"--fault", "freeze the relay", "--fault-every", "1s", bound, "--owners", "300"},
		}, {
			name: "a renderer that wakes does again what another has done",
			edits: func(chosen string) []mutant.Edit {
				const expired, known = "case !j.deadline.After(now):", "	return all[0], nil\n}"
				return []mutant.Edit{
					mutant.Replace("renderer/answer.go", expired, "case !"+chosen+" && !j.deadline.After(now):"),
					mutant.Replace("renderer/answer.go", "ctx, cancel := context.WithDeadline(ctx, last)",
						"if "+chosen+" {\n		last = last.Add(time.Minute)\n	}\n"+
							"	ctx, cancel := context.WithDeadline(ctx, last)"),
					mutant.Replace("renderer/form.go", known, "	if "+chosen+" {\n"+
						"		return nats.NewInbox(), nil\n	}\n"+known),
				}
			},
			rules: []string{"label", "fresh", "gone", "back"},
			flags: []string{"--fault", "freeze a renderer", "--fault-every", "1s", bound, "--owners", "3"},
		}, {
			name: "a renderer answers from its last rows while the database does not answer",
			edits: func(chosen string) []mutant.Edit {
				const failed = "	if err != nil {\n" +
					"		return nil, err // what drafts there are may be nil\n	}\n"
				return []mutant.Edit{
					mutant.Replace("renderer/outage.go", "// read reads the rows of pages",
						"var lastDrafts sync.Map\n\n// read reads the rows of pages"),
					mutant.Replace("renderer/outage.go", failed, `	if `+chosen+` {
		kept := make([]*draft, len(refs))
		for i, ref := range refs {
			if err == nil {
				lastDrafts.Store(ref, drafts[i])
			} else if d, ok := lastDrafts.Load(ref); ok {
				kept[i] = d.(*draft)
			} else {
				return nil, err
			}
		}
		if err != nil {
			return kept, nil
		}
	}
`+failed),
				}
			},
			rules: []string{"back", "fresh", "gone"},
			// So many owners that a page is rarely made anew soon after a change.
			flags: []string{"--fault", "freeze PostgreSQL", "--fault-every", "1s", bound, "--owners", "300"},
		}, {
			name: "the database loses what it acknowledged",
			edits: func(chosen string) []mutant.Edit {
				return []mutant.Edit{mutant.Replace(
					"ops/stack/stack.go", `Replicable: cfg.Replicas > 0}`,
					`Replicable: cfg.Replicas > 0, Throwaway: `+chosen+`}`,
				)}
			},
			rules: []string{"back", "fresh", "label", "gone", "own", "ended", "kept"},
			flags: []string{"--fault", "crash PostgreSQL", "--fault-every", "1s"},
		}, {
			name: "an edge keeps private pages, and does not hear that sessions end",
			edits: func(chosen string) []mutant.Edit {
				return []mutant.Edit{
					mutant.Replace("edge/private.go", "	\"strconv\"\n", "	\"strconv\"\n	\"sync\"\n"),
					mutant.Replace(
						"edge/private.go",
						"		reply, err = s.askFor(r.Context(), x, kind.Subject(), who, nats.Header{}, data, wire.PageDeadline)\n",
						`		kept, _ := keptPages.Load(kind)
		var ok bool
		if reply, ok = kept.(*nats.Msg); !ok || !`+chosen+` {
			reply, err = s.askFor(r.Context(), x, kind.Subject(), who, nats.Header{}, data, wire.PageDeadline)
			keptPages.Store(kind, reply)
		}
`,
					),
					mutant.Replace(
						"edge/private.go", "// visitor is who", "var keptPages sync.Map\n\n// visitor is who",
					),
					mutant.Replace(
						"edge/session/follow.go", "s.known.changed(k)", "if !"+chosen+" { s.known.changed(k) }",
					),
					mutant.Replace(
						"edge/session/follow.go", "s.known.revoke(user)", "if !"+chosen+" { s.known.revoke(user) }",
					),
				}
			},
			rules: []string{"secret", "ended"}, every: true, // one program for both, which are found apart
			flags: []string{
				"--no-faults", "--stop-at-violation=false", "--duration", "20s", "--view-rate", "50", "--rate", "10",
			},
		},
	}
}

// TestAuditFindsMistakes proves that the audit can fail: it finds each typical mistake of such a cache, and nothing in
// the same program when that makes none.
func TestAuditFindsMistakes(t *testing.T) {
	t.Parallel()
	mistakes := slices.Concat(typicalMistakes(), linkMistakes(), receiptMistakes(), replicaMistakes())
	program := buildMutant(t, mistakes)
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			flags := append([]string{"--duration", "2m", "--stop-at-violation", "--view-rate", "300"}, m.flags...)
			r, status := auditedWith(t, []string{mutant.Choose(m.name)}, "", program, flags...)
			found := slices.DeleteFunc(slices.Clone(m.rules), func(rule string) bool { return r.Rules[rule] == 0 })
			if status != 1 || len(found) == 0 || m.every && len(found) < len(m.rules) {
				t.Errorf("exit status %d, broken were %v after %v, want %v", status, r.Rules, r.Took, m.rules)
			}
			t.Logf("found after %v: %v", r.Took.Round(time.Millisecond), r.Rules)
		})
	}
	t.Run("but not where there is none", func(t *testing.T) {
		t.Parallel()
		flags := append(
			[]string{"--duration", "16s", "--stop-at-violation", "--view-rate", "300", bound}, wiping()...,
		)
		r, status := audited(t, program, flags...)
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

package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"flickrkillr/schema/wire"
)

func steps(stages []stage) (all []string) {
	for _, lanes := range stages {
		for _, lane := range lanes {
			for _, s := range lane {
				all = append(all, strings.Join(strings.Fields(s.String()), " "))
			}
		}
	}
	return all
}

// wanted is a host that is to run release r, with n instances of each role and an edge.
func wanted(host, release string, n int) want {
	roles := map[wire.Role]string{}
	count := map[wire.Role]int{}
	for _, role := range rollOrder {
		roles[role] = "c-" + string(role)
		count[role] = n
	}
	count[wire.RoleEdge] = min(n, 1)
	return want{pair: pair{release, "config", "of-" + release}, config: roles, count: count,
		sockets: []string{"killr-edge.socket"}}
}

func newState() *state {
	return &state{
		sockets: map[string]bool{}, configs: map[string]map[wire.Role]string{}, programs: map[wire.Role]bool{},
	}
}

// after is what hosts have when steps were done.
func after(in intent, have map[string]*state, stages []stage) map[string]*state {
	out := map[string]*state{}
	for host, s := range have {
		out[host] = s.clone()
	}
	for _, lanes := range stages {
		for _, lane := range lanes {
			for _, s := range lane {
				done(in, out, s)
			}
		}
	}
	return out
}

func done(in intent, have map[string]*state, s step) {
	have[s.host].apply(s, in.want[s.host])
	if s.do == migrate {
		have[s.host].migrated = in.migrated
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	in := intent{hosts: []string{"m1", "m2"}, migrate: "m1", migrated: "A db", compare: true,
		want: map[string]want{"m1": wanted("m1", "A", 2), "m2": wanted("m2", "A", 1)}}
	have := map[string]*state{"m1": newState(), "m2": newState()}

	first := planOf(in, have)
	expected := []string{
		"m1 make the user killr and its directories", "m1 copy release A", "m1 copy configuration config",
		"m2 make the user killr and its directories", "m2 copy release A", "m2 copy configuration config",
		"m1 migrate the database to release A",
		"m1 switch to release A with configuration config",
		"m1 start killr-renderer@1.service", "m1 start killr-renderer@2.service",
		"m2 switch to release A with configuration config",
		"m2 start killr-renderer@1.service",
		"m1 start killr-cachefill@1.service", "m1 start killr-cachefill@2.service",
		"m2 start killr-cachefill@1.service",
		"m1 open killr-edge.socket", "m1 start killr-edge@a.service",
		"m2 open killr-edge.socket", "m2 start killr-edge@a.service",
	}
	if diff := cmp.Diff(expected, steps(first)); diff != "" {
		t.Error("from nothing: ", diff)
	}
	have = after(in, have, first)
	if again := planOf(in, have); len(again) > 0 {
		t.Errorf("a second deployment: %q", steps(again))
	}

	in.want = map[string]want{"m1": wanted("m1", "B", 2), "m2": wanted("m2", "B", 1)}
	in.migrated = "B db"
	second := planOf(in, have)
	expected = []string{
		"m1 copy release B", "m2 copy release B",
		"m1 migrate the database to release B",
		"m1 switch to release B with configuration config",
		"m1 start killr-renderer@3.service", "m1 stop killr-renderer@1.service",
		"m1 start killr-renderer@1.service", "m1 stop killr-renderer@2.service",
		"m2 switch to release B with configuration config",
		"m2 start killr-renderer@2.service", "m2 stop killr-renderer@1.service",
		"m1 start killr-cachefill@3.service", "m1 stop killr-cachefill@1.service",
		"m1 start killr-cachefill@1.service", "m1 stop killr-cachefill@2.service",
		"m2 start killr-cachefill@2.service", "m2 stop killr-cachefill@1.service",
		"m1 start killr-edge@b.service", "m1 stop killr-edge@a.service",
		"m2 start killr-edge@b.service", "m2 stop killr-edge@a.service",
	}
	if diff := cmp.Diff(expected, steps(second)); diff != "" {
		t.Error("another release: ", diff)
	}
	for _, lanes := range second {
		for _, s := range slices.Concat(lanes...) {
			if s.do == start && !s.compare {
				t.Errorf("%s: it is compared with nothing", s)
			}
		}
	}
	have = after(in, have, second)

	back := intent{hosts: in.hosts, together: true, want: map[string]want{
		"m1": wanted("m1", "A", 2), "m2": wanted("m2", "A", 1)}}
	for host, w := range back.want {
		w.back = true
		back.want[host] = w
	}
	stages := planOf(back, have)
	var shape []string
	for _, lanes := range stages {
		shape = append(shape, fmt.Sprintf("%d lanes, first %s", len(lanes), steps([]stage{lanes})[0]))
	}
	expected = []string{
		"2 lanes, first m1 switch to release A with configuration config",
		"2 lanes, first m1 start killr-edge@a.service",
		"4 lanes, first m1 start killr-cachefill@2.service",
		"2 lanes, first m1 remove releases/B",
	}
	if diff := cmp.Diff(expected, shape); diff != "" {
		t.Error("a rollback: ", diff)
	}
	have = after(back, have, stages)
	if got := have["m1"].history; len(got) != 1 || got[0].release != "A" {
		t.Errorf("after a rollback the history is %v", got)
	}
}

// TestPlanDrain: others start first what a host that is drained stops.
func TestPlanDrain(t *testing.T) {
	t.Parallel()
	in := intent{hosts: []string{"m1", "m2"}, want: map[string]want{"m1": wanted("", "A", 1), "m2": wanted("", "A", 1)}}
	have := map[string]*state{"m1": newState(), "m2": newState()}
	have = after(in, have, planOf(in, have))
	w := in.want["m1"]
	w.drained, w.count = true, map[wire.Role]int{}
	in.want["m1"] = w
	w = in.want["m2"]
	w.count = map[wire.Role]int{wire.RoleRenderer: 2, wire.RoleCachefill: 2, wire.RoleEdge: 1}
	in.want["m2"] = w
	want := []string{
		"m1 note that it is drained",
		"m2 start killr-renderer@2.service", "m2 start killr-cachefill@2.service",
		"m1 stop killr-renderer@1.service", "m1 stop killr-cachefill@1.service",
		"m1 close killr-edge.socket", "m1 stop killr-edge@a.service",
	}
	stages := planOf(in, have)
	if diff := cmp.Diff(want, steps(stages)); diff != "" {
		t.Error(diff)
	}
	if again := planOf(in, after(in, have, stages)); len(again) > 0 {
		t.Errorf("then: %q", steps(again))
	}
}

// TestPlanConverges: from whatever hosts have, steps that were cut short anywhere and computed again lead to what is
// wanted. Meanwhile no role has fewer instances than it had or is to have, and only one more than is to be.
func TestPlanConverges(t *testing.T) {
	t.Parallel()
	serving := func(s *state, role wire.Role) (n int) {
		for _, i := range s.of(role) {
			if i.active == "active" {
				n++
			}
		}
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		in := intent{want: map[string]want{}, migrate: "m1", migrated: "B db",
			together: rapid.Bool().Draw(t, "together")}
		have := map[string]*state{}
		for n := range rapid.IntRange(1, 3).Draw(t, "hosts") {
			host := fmt.Sprintf("m%d", n+1)
			in.hosts = append(in.hosts, host)
			in.want[host] = wanted(host, "B", rapid.IntRange(0, 3).Draw(t, "instances"))
			have[host] = drawState(t, host)
		}
		least := map[string]int{}
		for host, s := range have {
			for _, role := range rollOrder {
				if role == wire.RoleEdge && len(s.openSockets()) == 0 { // an edge without its socket serves nobody
					continue
				}
				least[host+string(role)] = min(serving(s, role), in.want[host].count[role])
			}
		}
		for tries := 0; ; tries++ {
			if tries == 20 {
				t.Fatalf("still to do: %q", steps(planOf(in, have)))
			}
			stages := planOf(in, have)
			if len(stages) == 0 {
				break
			}
			cut := rapid.IntRange(1, 30).Draw(t, "cut after") // a host may be done and another not: lanes
			for _, lanes := range stages {
				for _, s := range slices.Concat(lanes...) {
					if cut--; cut < 0 {
						break
					}
					if s.do == start && (have[s.host].inForce() != s.pair || have[s.host].current != s.pair.release) {
						t.Fatalf("%s starts what is not in force", s)
					}
					many := serving(have[s.host], s.role)
					done(in, have, s)
					n, least := serving(have[s.host], s.role), least[s.host+string(s.role)]
					wants := in.want[s.host].count[s.role]
					if s.role != "" && (n < least || n > many && n > wants+1) {
						t.Fatalf("%s leaves %d instances, and there were %d, and are to be %d", s, n, least, wants)
					}
				}
			}
		}
		for host, s := range have {
			w := in.want[host]
			for _, role := range rollOrder {
				if len(s.of(role)) != w.count[role] || serving(s, role) != w.count[role] {
					t.Fatalf("%s has %d of %s, wanted %d", host, len(s.of(role)), role, w.count[role])
				}
			}
			if s.inForce() != w.pair || s.current != "B" {
				t.Fatalf("%s has %v in force", host, s.inForce())
			}
		}
	})
}

// drawState is what a host may have that was deployed to, crashed, rebooted and changed by hand.
func drawState(t *rapid.T, host string) *state {
	s := newState()
	s.prepared = rapid.Bool().Draw(t, "prepared")
	releases := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"A", "B", "C", "D"}), rapid.ID).Draw(t, "releases")
	for _, r := range releases {
		s.releases = append(s.releases, r)
		s.history = append(s.history, pair{r, "config", "of-" + r})
		s.current = r
	}
	if len(releases) > 0 {
		s.configs["config"] = wanted(host, "", 0).config
		s.current = rapid.SampledFrom(releases).Draw(t, "current")
	}
	s.drained = rapid.Bool().Draw(t, "drained")
	s.sockets["killr-edge.socket"] = rapid.Bool().Draw(t, "socket")
	for _, role := range rollOrder {
		names := []string{"1", "2", "3", "4"}
		if role == wire.RoleEdge {
			names = []string{"a", "b"}
		}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "instances") {
			drawn := instance{
				role: role, name: name,
				active:  rapid.SampledFrom([]string{"active", "failed", "activating", "inactive"}).Draw(t, "active"),
				begins:  rapid.Bool().Draw(t, "begins"),
				release: rapid.SampledFrom([]string{"A", "B", ""}).Draw(t, "release"),
				config:  rapid.SampledFrom([]string{"c-" + string(role), "other"}).Draw(t, "config"),
			}
			if drawn.active != "inactive" || drawn.begins { // a host does not tell of others
				s.instances = append(s.instances, drawn)
			}
		}
	}
	return s
}

// TestRollbackTo: a rollback goes back once, also when it or the deployment before was cut short.
func TestRollbackTo(t *testing.T) {
	t.Parallel()
	at := func(releases string, runs string) *state {
		s := newState()
		s.configs["config"] = map[wire.Role]string{wire.RoleRenderer: "c"}
		for _, r := range releases {
			s.history = append(s.history, pair{string(r), "config", "of-" + string(r)})
		}
		for _, r := range runs {
			s.instances = append(s.instances, instance{role: wire.RoleRenderer, active: "active", release: string(r),
				config: "c"})
		}
		return s
	}
	for name, c := range map[string]struct {
		a, b *state
		want string
	}{
		"a whole deployment":                       {at("AB", "B"), at("AB", "B"), "A"},
		"a deployment of the first host":           {at("AB", "BA"), at("A", "A"), "A"},
		"a deployment of the last host":            {at("ZA", "A"), at("ZAB", "BA"), "A"},
		"a deployment that did not stop all":       {at("ZAB", "B"), at("ZAB", "BA"), "A"},
		"a rollback of the first host":             {at("ZA", "A"), at("ZAB", "B"), "A"},
		"a rollback of the last host":              {at("ZAB", "B"), at("ZA", "A"), "A"},
		"a rollback that stopped none of the last": {at("ZA", "A"), at("ZA", "AB"), "A"},
		"a host that came later":                   {at("B", "B"), at("AB", "B"), "A"},
		"one release":                              {at("A", "A"), at("A", "A"), ""},
	} {
		for _, hosts := range [][]string{{"a", "b"}, {"b", "a"}} {
			got, err := rollbackTo(hosts, map[string]*state{"a": c.a, "b": c.b})
			if got.release != c.want || (err != nil) != (c.want == "") {
				t.Errorf("%s, %v: back to %q, %v; want %q", name, hosts, got.release, err, c.want)
			}
		}
	}
}

// TestFacts reads what a host says, and refuses half of it.
func TestFacts(t *testing.T) {
	t.Parallel()
	const text = `machine x86_64
hostname m1
prepared
release aa
config cc renderer=r1 edge=e1
current aa
history aa cc dd
drift /etc/killr/site.env
migrated aa hh
locked ada@laptop since 2026-11-30 12:00:00 UTC
program postgres
voter m1
member m1 Leader running -
member m2 Sync_Standby streaming 0
socket killr-edge.socket active
unit killr-edge@a.service active enabled 17 aa e1
unit killr-edge@b.service inactive disabled 0 - -
unit killr-renderer@2.service failed disabled 0 - -
end
`
	s, err := parseFacts(text)
	if err != nil {
		t.Fatal(err)
	}
	want := &state{
		machine: "x86_64", hostname: "m1", prepared: true, releases: []string{"aa"},
		configs: map[string]map[wire.Role]string{"cc": {wire.RoleRenderer: "r1", wire.RoleEdge: "e1"}},
		current: "aa", history: []pair{{"aa", "cc", "dd"}}, drift: []string{"/etc/killr/site.env"}, migrated: "aa hh",
		programs: map[wire.Role]bool{rolePostgres: true}, voters: []string{"m1"},
		members: []member{{"m1", "Leader", "running", "-"}, {"m2", "Sync_Standby", "streaming", "0"}},
		locked:  "ada@laptop since 2026-11-30 12:00:00 UTC", sockets: map[string]bool{"killr-edge.socket": true},
		instances: []instance{
			{role: wire.RoleEdge, name: "a", active: "active", begins: true, pid: 17, release: "aa", config: "e1"},
			{role: wire.RoleRenderer, name: "2", active: "failed"},
		},
	}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(state{}, pair{}, instance{}, member{})); diff != "" {
		t.Error(diff)
	}
	for i := range text[:len(text)-len("end\n")] {
		if _, err := parseFacts(text[:i]); err == nil {
			t.Fatalf("half of it was taken: %q", text[:i])
		}
	}
	for _, wrong := range []string{
		"drift\nend\n", "fact 1\nend\n", "unit killr-edge@a.service active enabled x aa e1\nend\n",
	} {
		if _, err := parseFacts(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	c := s.clone()
	maps.DeleteFunc(c.sockets, func(string, bool) bool { return true })
	if len(s.sockets) == 0 {
		t.Error("a clone shares its sockets")
	}
}

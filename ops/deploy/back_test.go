package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// drawDeployment is a deployment to hosts whose roles and sockets are drawn.
func drawDeployment(t *rapid.T, name string, have map[string]*state) *deployment {
	site := &Site{Counts: map[wire.Role]int{wire.RoleRenderer: 2, wire.RoleCachefill: 1}}
	d := &deployment{Options: Options{Site: site}, hosts: []string{"m1", "m2"}, have: have,
		configs: map[string]config{}, drains: map[string]bool{}}
	all := slices.Concat(rollOrder, serviceOrder)
	for _, host := range d.hosts {
		h := Host{Name: host, Roles: rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, -1, rapid.ID).Draw(t, "roles")}
		c := config{hash: name + "-" + host, roles: map[wire.Role]string{}}
		for _, role := range h.Roles {
			c.roles[role] = rapid.SampledFrom([]string{"c", "d"}).Draw(t, "config of a role")
		}
		if h.Runs(wire.RoleEdge) && rapid.Bool().Draw(t, "https") {
			c.roles[encrypted], c.roles[wire.RoleEdge] = "1", "with a certificate"
		}
		site.Hosts, d.configs[host] = append(site.Hosts, h), c
	}
	return d
}

// walk does some of the steps as hosts do: systemd knows no unit that is not in the configuration in force, opens no
// socket that a process has, and an edge wants just the sockets of its configuration.
func walk(t *rapid.T, in intent, have map[string]*state, stages []stage, most int) {
	for _, lanes := range stages {
		for _, s := range slices.Concat(lanes...) {
			if most--; most < 0 {
				return
			}
			host, w := have[s.host], in.want[s.host]
			edges := func(i instance) bool { return i.role == wire.RoleEdge }
			switch {
			case s.do == start && host.configs[host.inForce().config][s.role] == "":
				t.Fatalf("%s: its unit is not there", s)
			case s.do == start && s.role == wire.RoleEdge && !slices.Equal(host.openSockets(), slices.Sorted(
				slices.Values(w.sockets))):
				t.Fatalf("%s: open are %q, and it wants %q", s, host.openSockets(), w.sockets)
			case s.do == openSocket && slices.ContainsFunc(host.instances, edges):
				t.Fatalf("%s: an edge runs", s)
			}
			done(in, have, s)
		}
	}
}

// TestTakenBack: a deployment that gave hosts other roles or HTTPS, and was cut short anywhere, is taken back.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		have := map[string]*state{"m1": newState(), "m2": newState()}
		first := drawDeployment(t, "first", have)
		in := first.deployed("A")
		walk(t, in, have, planOf(in, have), 1000)
		second := drawDeployment(t, "second", have)
		in = second.deployed("B")
		walk(t, in, have, planOf(in, have), rapid.IntRange(0, 60).Draw(t, "steps"))

		in, err := second.without(in.want["m1"].pair.deployment)
		if err != nil {
			t.Fatal(err)
		}
		walk(t, in, have, planOf(in, have), 1000)
		for host, s := range have {
			if s.inForce().release != "A" {
				t.Errorf("%s has %v in force", host, s.inForce())
			}
			for _, role := range slices.Concat(rollOrder, serviceOrder) {
				n := len(s.of(role))
				runs := first.Site.host(host).Runs(role)
				if n > 0 && !runs || n == 0 && runs && role != wire.RoleRenderer && role != wire.RoleCachefill {
					t.Errorf("%s has %d of %s, and had the role: %t", host, n, role, runs)
				}
			}
		}
		if again := planOf(in, have); len(again) > 0 {
			t.Errorf("still to do: %q", steps(again))
		}
	})
}

// TestRepairs: a deployment of what all hosts have in force has nothing before it to go back to.
func TestRepairs(t *testing.T) {
	t.Parallel()
	is := pair{"A", "c", "of-A"}
	d := &deployment{hosts: []string{"m1", "m2"}, have: map[string]*state{"m1": newState(), "m2": newState()}}
	in := intent{want: map[string]want{"m1": {pair: is}, "m2": {pair: is}}}
	d.have["m1"].history = []pair{{"Z", "c", "of-Z"}, is}
	if d.inForceOnAll(in) {
		t.Error("m2 has it not")
	}
	d.have["m2"].history = []pair{is}
	if !d.inForceOnAll(in) {
		t.Error("both have it")
	}
}

// TestSettled: a host cannot say that another release is of the deployment that others have in force.
func TestSettled(t *testing.T) {
	t.Parallel()
	d := &deployment{have: map[string]*state{"m1": newState(), "m2": newState()}}
	d.have["m1"].history, d.have["m2"].history = []pair{{"A", "c1", "of-A"}}, []pair{{"A", "c2", "of-A"}}
	if now, err := d.settled([]string{"m1", "m2"}); err != nil || now.release != "A" {
		t.Errorf("both have A: %v, %v", now, err)
	}
	d.have["m1"].history[0].release = "another"
	if _, err := d.settled([]string{"m1", "m2"}); err == nil {
		t.Error("two releases of one deployment were taken")
	}
}

// TestCanSpare: what the site cannot do without is not drained.
func TestCanSpare(t *testing.T) {
	t.Parallel()
	bus := []wire.Role{roleNATS}
	database := []wire.Role{roleEtcd, rolePostgres}
	site := &Site{Hosts: []Host{
		{Name: "m1", Roles: []wire.Role{wire.RoleEdge, wire.RoleCachefill, roleMemcached}},
		{Name: "m2", Roles: []wire.Role{wire.RoleEdge, wire.RoleRenderer}},
		{Name: "n1", Roles: bus}, {Name: "n2", Roles: bus}, {Name: "n3", Roles: bus},
		{Name: "d1", Roles: database}, {Name: "d2", Roles: database}, {Name: "d3", Roles: database[:1]},
	}}
	for _, c := range []struct {
		drained, away, name string
		can                 bool
	}{
		{"", "", "m1", true},
		{"", "", "m2", false}, // its renderer
		{"m2", "", "m1", false},
		{"", "m2", "m1", false},
		{"", "", "n1", true},
		{"n3", "", "n1", false},
		{"", "n3", "n1", false},
		{"", "", "d1", true},
		{"", "d3", "d1", false}, // most voters would be gone
		{"", "", "d3", true},
		{"d2", "", "d1", false},
	} {
		d := &deployment{Options: Options{Site: site}, have: map[string]*state{}, drains: map[string]bool{}}
		for _, h := range site.Hosts {
			if h.Name != c.away {
				d.hosts, d.have[h.Name] = append(d.hosts, h.Name), newState()
				d.have[h.Name].drained = h.Name == c.drained
			}
		}
		if err := d.canSpare(c.name); (err == nil) != c.can {
			t.Errorf("%s, %q is drained, %q is away: %v", c.name, c.drained, c.away, err)
		}
	}
}

// TestMakeSeeds: a machine without the seeds makes others only if no host can have a bus; a plan leaves none behind.
func TestMakeSeeds(t *testing.T) {
	t.Parallel()
	runs, had := newState(), newState()
	runs.instances = []instance{{role: roleNATS, active: "active"}}
	had.configs["c"] = map[wire.Role]string{roleNATS: "n"}
	for name, c := range map[string]struct {
		m2    *state // with the role nats; nil: it is left out
		plan  bool
		makes bool
	}{
		"first deployment": {newState(), false, true},
		"first plan":       {newState(), true, true},
		"it runs one":      {runs, false, false},
		"it is drained":    {had, false, false},
		"it is left out":   {nil, false, false},
		"plan without it":  {nil, true, false},
	} {
		beside := filepath.Join(t.TempDir(), seedsBeside)
		site := &Site{Services: Services{NATSSeeds: beside}, Hosts: []Host{
			{Name: "m1", Roles: []wire.Role{wire.RoleEdge}}, {Name: "m2", Roles: []wire.Role{roleNATS}}}}
		d := &deployment{Options: Options{Site: site, Plan: c.plan}, have: map[string]*state{"m1": newState()}}
		if c.m2 != nil {
			d.have["m2"] = c.m2
		}
		temporary, err := d.makeSeeds()
		if (err == nil) != c.makes {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && stack.SeedsIn(filepath.Dir(d.Site.Services.NATSSeeds)) == nil {
			t.Errorf("%s: there are no seeds", name)
		}
		if there := stack.SeedsIn(filepath.Dir(beside)) != nil; there != (c.makes && !c.plan) {
			t.Errorf("%s: seeds beside site.toml: %t", name, there)
		}
		if err := os.RemoveAll(temporary); err != nil { // "" is nothing
			t.Error(err)
		}
	}
}

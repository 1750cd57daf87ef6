package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"flickrkillr/schema/wire"
)

// deployed is what a deployment of a release is to lead to.
func (d *deployment) deployed(release string) intent {
	sum := sha256.New()
	fmt.Fprintln(sum, release)
	for _, h := range d.Site.Hosts {
		fmt.Fprintln(sum, h.Name, d.configs[h.Name].hash)
	}
	id := hex.EncodeToString(sum.Sum(nil))[:hashLength]
	pairs := map[string]pair{}
	for _, host := range d.hosts {
		pairs[host] = pair{release, d.configs[host].hash, id}
	}
	in := intent{hosts: d.hosts, want: d.wants(pairs), compare: true}
	for _, host := range d.hosts {
		if in.migrate == "" && d.Site.host(host).Runs(wire.RoleRenderer) {
			in.migrate = host
			in.migrated = release + " " + hashOf([]file{{content: []byte(d.Site.Services.Postgres)}})
		}
	}
	return in
}

// unchanged is what hosts are to have when release and configuration stay. drained is a host that is to run nothing
// from now on; "": none.
func (d *deployment) unchanged(drained string) intent {
	if drained != "" {
		d.drains[drained] = true
	}
	pairs := d.inForce()
	return intent{hosts: d.among(pairs), want: d.wants(pairs)}
}

// without is what hosts are to have when a deployment is taken back: each what was in force before.
func (d *deployment) without(deployment string) (intent, error) {
	pairs, back := d.inForce(), map[string]bool{}
	for _, host := range d.hosts {
		s := d.have[host]
		if s.inForce().deployment != deployment {
			continue
		}
		if pairs[host], back[host] = s.before(); !back[host] {
			return intent{}, errNoneBefore
		}
	}
	return d.goingBack(pairs, back), nil
}

// goingBack leads to pairs that are known to work. back are the hosts whose history loses its last pair.
func (d *deployment) goingBack(pairs map[string]pair, back map[string]bool) intent {
	in := intent{hosts: d.among(pairs), want: d.wants(pairs), together: true}
	for host, w := range in.want {
		w.back = back[host]
		in.want[host] = w
	}
	return in
}

// inForce is what each host has in force that has something.
func (d *deployment) inForce() map[string]pair {
	pairs := map[string]pair{}
	for _, host := range d.hosts {
		if p := d.have[host].inForce(); d.have[host].current != "" && p != (pair{}) {
			pairs[host] = p
		}
	}
	return pairs
}

// among lists the hosts that have a pair, in order.
func (d *deployment) among(pairs map[string]pair) (hosts []string) {
	for _, host := range d.hosts {
		if _, there := pairs[host]; there {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// inForceOnAll reports whether all hosts have in force what they are to have. Then a deployment repairs something, and
// what was in force before it is the same.
func (d *deployment) inForceOnAll(in intent) bool {
	for _, host := range d.hosts {
		if d.have[host].inForce() != in.want[host].pair {
			return false
		}
	}
	return true
}

// settled is what hosts have in force, if all have the same.
func (d *deployment) settled(hosts []string) (now pair, err error) {
	for _, host := range hosts {
		p := d.have[host].inForce()
		if p == (pair{}) {
			continue
		}
		if now == (pair{}) {
			now = p
		}
		if p.deployment != now.deployment || p.release != now.release {
			return now, fmt.Errorf("%s has %s in force, and others %s: a deployment was cut short: "+
				"run `killr deploy` or `killr rollback`", host, p.release, now.release)
		}
	}
	if now == (pair{}) {
		return now, errors.New("nothing was deployed: run `killr deploy`")
	}
	return now, nil
}

// wants is what hosts are to have, with the releases and the configurations of pairs. A host runs the roles of that
// configuration: site.toml may have others by now.
func (d *deployment) wants(pairs map[string]pair) map[string]want {
	roles := map[string]map[wire.Role]string{}
	for _, h := range d.Site.Hosts {
		made := d.configs[h.Name]
		p, there := pairs[h.Name]
		if !there || made.hash == p.config { // of one that is away it is thought that it has what site.toml says
			roles[h.Name] = made.roles
		} else {
			roles[h.Name] = d.have[h.Name].configs[p.config]
		}
	}
	counts, all := d.spread(roles), map[string]want{}
	for host, p := range pairs {
		w := want{pair: p, config: roles[host], count: counts[host], drained: d.drained(host)}
		for _, role := range serviceOrder {
			if w.config[role] != "" && !w.drained {
				w.count[role] = 1
			}
		}
		if w.config[wire.RoleEdge] != "" {
			w.sockets = append(w.sockets, "killr-edge.socket")
		}
		if w.config[wire.RoleEdge] != "" && w.config[encrypted] != "" {
			w.sockets = append(w.sockets, "killr-edge-https.socket")
		}
		all[host] = w
	}
	return all
}

// canSpare refuses to drain the last host of a kind without which the site stands still, and one without which fewer
// than most of the nats-servers or of etcd's voters are left: they would take no change.
func (d *deployment) canSpare(name string) error {
	for _, role := range d.Site.host(name).Roles {
		left, all := 0, d.Site.with(role)
		for _, h := range all {
			if h.Name != name && slices.Contains(d.hosts, h.Name) && !d.drained(h.Name) {
				left++
			}
		}
		switch {
		case (role == roleNATS || role == roleEtcd) && 2*left <= len(all):
			return fmt.Errorf("without %s %d of %d hosts with %s are left, and the site needs most of them", name,
				left, len(all), role)
		case (role == wire.RoleEdge || role == wire.RoleRenderer || role == rolePostgres) && left == 0:
			return fmt.Errorf("%s is the last host that runs the role %s: add another one first", name, role)
		}
	}
	return nil
}

// drained reports whether a host is to run nothing.
func (d *deployment) drained(host string) bool {
	if drains, said := d.drains[host]; said {
		return drains
	}
	s := d.have[host]
	return s != nil && s.drained // of one that is away nothing is known
}

// spread says how many instances of each role a host is to run, of those that its configuration has: as many as the
// others, those first in the file one more if they do not come out even. Hosts that are away keep theirs.
func (d *deployment) spread(roles map[string]map[wire.Role]string) map[string]map[wire.Role]int {
	all := map[string]map[wire.Role]int{}
	for _, h := range d.Site.Hosts {
		all[h.Name] = map[wire.Role]int{}
	}
	for _, role := range rollOrder {
		var able []string
		for _, h := range d.Site.Hosts {
			if roles[h.Name][role] != "" && !d.drained(h.Name) {
				able = append(able, h.Name)
			}
		}
		n := d.Site.Counts[role]
		if role == wire.RoleEdge || len(d.Site.with(role)) == 0 { // site.toml has no number
			n = len(able)
		}
		for i, host := range able {
			all[host][role] = n / len(able)
			if i < n%len(able) {
				all[host][role]++
			}
		}
	}
	return all
}

// rollbackTo finds what was in force before the last deployment. If hosts differ, a deployment or a rollback was cut
// short, and the last deployment is that which only some of them have.
func rollbackTo(hosts []string, have map[string]*state) (pair, error) {
	for _, host := range hosts {
		now, before := have[host].inForce(), pair{}
		if p, ok := have[host].before(); ok {
			before = p
		}
		unfinished := false
		for _, other := range hosts {
			s := have[other]
			theirs, known := s.inForce(), len(s.history) > 0
			if known && theirs.deployment != now.deployment {
				unfinished = true
				if theirs.deployment == before.deployment { // this host is ahead
					return before, nil
				}
			}
			if s.cameBack() {
				return now, nil
			}
		}
		if !unfinished && before != (pair{}) {
			return before, nil
		}
	}
	return pair{}, errors.New("no host has had another release in force before")
}

// cameBack reports whether instances run neither what is in force nor what was before: a rollback was going away from
// that, and did not end.
func (s *state) cameBack() bool {
	before, _ := s.before()
	return slices.ContainsFunc(s.instances, func(i instance) bool {
		of := func(p pair) bool { return i.release == p.release && i.config == s.configs[p.config][i.role] }
		says := i.release != "" && i.config != "" && slices.Contains(rollOrder, i.role)
		return says && !of(s.inForce()) && !of(before)
	})
}

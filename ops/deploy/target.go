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
	in := intent{hosts: d.hosts, want: map[string]want{}, compare: true}
	for _, host := range d.hosts {
		in.want[host] = d.wantOf(host, pair{release, d.configs[host].hash, id}, false)
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
	in := intent{hosts: d.hosts, want: map[string]want{}}
	for _, host := range d.hosts {
		if d.have[host].current != "" {
			in.want[host] = d.wantOf(host, d.have[host].inForce(), false)
		}
	}
	in.hosts = slices.DeleteFunc(slices.Clone(d.hosts), func(h string) bool { return in.want[h].pair == pair{} })
	return in
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
		if p.deployment != now.deployment {
			return now, fmt.Errorf("%s has %s in force, and others %s: a deployment was cut short: "+
				"run `killr deploy` or `killr rollback`", host, p.release, now.release)
		}
	}
	if now == (pair{}) {
		return now, errors.New("nothing was deployed: run `killr deploy`")
	}
	return now, nil
}

// wantOf is what a host is to have, with a release and a configuration.
func (d *deployment) wantOf(host string, p pair, back bool) want {
	w := want{pair: p, count: d.spread()[host], drained: d.drained(host), back: back}
	if made := d.configs[host]; made.hash == p.config {
		w.config = made.roles
	} else {
		w.config = d.have[host].configs[p.config]
	}
	for _, role := range serviceOrder {
		if d.Site.host(host).Runs(role) && !w.drained {
			w.count[role] = 1
		}
	}
	if made, ok := d.configs[host]; ok && d.Site.host(host).Runs(wire.RoleEdge) {
		w.sockets = made.sockets()
	}
	return w
}

// drained reports whether a host is to run nothing.
func (d *deployment) drained(host string) bool {
	if drains, said := d.drains[host]; said {
		return drains
	}
	s := d.have[host]
	return s != nil && s.drained // of one that is away nothing is known
}

// spread says how many instances of each role a host is to run: as many as the others, those first in the file one more
// if they do not come out even. Hosts that are away keep theirs.
func (d *deployment) spread() map[string]map[wire.Role]int {
	all := map[string]map[wire.Role]int{}
	for _, h := range d.Site.Hosts {
		all[h.Name] = map[wire.Role]int{}
	}
	for _, role := range rollOrder {
		var able []string
		for _, h := range d.Site.with(role) {
			if !d.drained(h.Name) {
				able = append(able, h.Name)
			}
		}
		n := d.Site.Counts[role]
		if role == wire.RoleEdge {
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

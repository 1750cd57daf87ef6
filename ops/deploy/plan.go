package deploy

import (
	"slices"
	"strconv"
	"strings"

	"flickrkillr/schema/wire"
)

// action is what a step does.
type action int

const (
	prepare     action = iota // make the user killr and the directories
	copyRelease               // bring the release to the host
	writeConfig               // bring the configuration to the host
	drainHost                 // note that the host is to run nothing
	fillHost                  // note that it may run again
	migrate                   // bring the database to the schema of the release
	switchTo                  // put release and configuration in force: what starts from now on has them
	openSocket                // start the edges' sockets
	closeSocket
	start    // an instance, until it says that it is ready
	stop     // an instance, which finishes its requests first
	handOver // PostgreSQL's primary to another host, if this one has it
	install  // the packages that a service needs
	tidy     // remove releases and configurations that were not in force lately
)

// step is one thing to do on one host. Done again, it changes nothing.
type step struct {
	host string
	do   action
	pair pair // in force when it is done; copyRelease, writeConfig: what is brought

	role wire.Role // start, stop: of the instance; install: for it
	name string

	compare bool     // start: watch it beside others of its role, and take the release back if it is worse
	back    bool     // switchTo: the last pair of the history is taken off
	names   []string // of sockets, packages, or paths below /opt/killr
}

// stage is a list of lanes: lanes run at the same time, the steps of one after each other.
type stage [][]step

// want is what a host is to have.
type want struct {
	pair    pair
	config  map[wire.Role]string // what instances of each role read
	count   map[wire.Role]int
	sockets []string // of the edges
	drained bool
	back    bool // pair is the one that was in force before
}

// intent is what all hosts are to have, and how they get there.
type intent struct {
	hosts    []string // in order
	want     map[string]want
	migrate  string // the host that migrates the database; "": none does
	migrated string // what its state says once it has
	compare  bool
	together bool // all hosts at the same time, and edges first: for a release that is known to work
}

// planOf computes the steps that bring hosts from what they have to what they are to have. No step is there when there
// is nothing to do, and when steps of it were done, the rest is what it computes.
//
// An instance is replaced by one of another name: first the new one starts, then an old one stops. So a role has at
// most one more instance on a host than it is to have, and no fewer than it had or is to have.
func planOf(in intent, have map[string]*state) []stage {
	p := planner{intent: in, have: map[string]*state{}}
	for host, s := range have {
		p.have[host] = s.clone()
	}
	p.eachHost(p.bring)
	p.services(roleEtcd, rolePostgres)
	p.migrateOnce() // if it fails, no other service nor any role has changed
	p.services(roleMemcached, roleNATS)
	if in.together {
		p.rollTogether()
	} else {
		p.rollInTurn()
	}
	p.eachHost(p.finish)
	return p.stages
}

// rollInTurn replaces one instance after the other. A host that is to run nothing stops when others have started what
// it had.
func (p *planner) rollInTurn() {
	for _, drained := range []bool{false, true} {
		for _, role := range rollOrder {
			for _, host := range p.hosts {
				if p.want[host].drained == drained {
					p.add(p.roll(host, role))
				}
			}
		}
	}
}

// rollTogether replaces instances on all hosts at the same time: the edges, and then what they ask.
func (p *planner) rollTogether() {
	p.eachHost(func(host string) []step { return p.switched(nil, host) })
	p.eachHost(func(host string) []step { return p.roll(host, wire.RoleEdge) })
	var lanes [][]step
	for _, host := range p.hosts {
		lanes = append(lanes, p.roll(host, wire.RoleCachefill), p.roll(host, wire.RoleRenderer))
	}
	p.add(lanes...)
}

type planner struct {
	intent
	have   map[string]*state
	stages []stage
}

func (p *planner) add(lanes ...[]step) {
	var all stage
	for _, lane := range lanes {
		if len(lane) > 0 {
			all = append(all, lane)
		}
	}
	if len(all) > 0 {
		p.stages = append(p.stages, all)
	}
}

func (p *planner) eachHost(lane func(host string) []step) {
	var lanes [][]step
	for _, host := range p.hosts {
		lanes = append(lanes, lane(host))
	}
	p.add(lanes...)
}

// do adds a step to a lane and to what the host has.
func (p *planner) do(lane []step, s step) []step {
	p.have[s.host].apply(s, p.want[s.host])
	return append(lane, s)
}

// bring brings files to a host. Nothing that runs notices.
func (p *planner) bring(host string) (lane []step) {
	s, w := p.have[host], p.want[host]
	if !s.prepared {
		lane = p.do(lane, step{host: host, do: prepare})
	}
	if w.drained && !s.drained {
		lane = p.do(lane, step{host: host, do: drainHost})
	}
	if !w.drained && s.drained {
		lane = p.do(lane, step{host: host, do: fillHost})
	}
	if !slices.Contains(s.releases, w.pair.release) {
		lane = p.do(lane, step{host: host, do: copyRelease, pair: w.pair})
	}
	if _, there := s.configs[w.pair.config]; !there {
		lane = p.do(lane, step{host: host, do: writeConfig, pair: w.pair})
	}
	return lane
}

func (p *planner) migrateOnce() {
	if p.migrate == "" || p.have[p.migrate].migrated == p.migrated {
		return
	}
	p.add(p.do(nil, step{host: p.migrate, do: migrate, pair: p.want[p.migrate].pair}))
}

// roll brings the instances of a role on a host to what they are to be.
func (p *planner) roll(host string, role wire.Role) (lane []step) {
	s, w := p.have[host], p.want[host]
	n := w.count[role]
	silent := func(socket string) bool { return !s.sockets[socket] }
	// With its socket open, systemd would start an edge for the next connection.
	if open := s.openSockets(); n == 0 && role == wire.RoleEdge && len(open) > 0 {
		lane = p.do(lane, step{host: host, do: closeSocket, names: open})
	}
	for {
		var good, old, dead []instance
		for _, i := range s.of(role) {
			switch {
			case i.active == "active" && i.begins && i.release == w.pair.release && i.config == w.config[role]:
				good = append(good, i)
			case i.active == "active":
				old = append(old, i)
			default:
				dead = append(dead, i)
			}
		}
		extra := slices.DeleteFunc(s.openSockets(), func(unit string) bool { return slices.Contains(w.sockets, unit) })
		opens := role == wire.RoleEdge && slices.ContainsFunc(w.sockets, silent)
		switch {
		case opens && len(good) < n && len(old) > 0:
			// systemd opens no socket whose edge runs, nor one that an edge still has. A connection to another socket
			// would start an edge again.
			if open := s.openSockets(); len(open) > 0 {
				lane = p.do(lane, step{host: host, do: closeSocket, names: open})
			}
			lane = p.do(lane, step{host: host, do: stop, role: role, name: old[0].name})
		case len(good) < n && len(good)+len(old) <= n:
			lane = p.switched(lane, host)
			if role == wire.RoleEdge && len(extra) > 0 { // systemd would pass it to the edge, which has no use for it
				lane = p.do(lane, step{host: host, do: closeSocket, names: extra})
			}
			if opens {
				lane = p.do(lane, step{host: host, do: openSocket, names: w.sockets})
			}
			lane = p.do(lane, step{host: host, do: start, pair: w.pair, role: role, name: freeName(role, s.of(role)),
				compare: p.compare && p.serves(role)})
		case len(old) > 0:
			lane = p.do(lane, step{host: host, do: stop, role: role, name: old[0].name})
		case len(good) > n:
			lane = p.do(lane, step{host: host, do: stop, role: role, name: good[len(good)-1].name})
		case len(dead) > 0:
			lane = p.do(lane, step{host: host, do: stop, role: role, name: dead[0].name})
		default:
			return lane
		}
	}
}

// switched adds the switch to what the host is to have, if it has not been made.
func (p *planner) switched(lane []step, host string) []step {
	s, w := p.have[host], p.want[host]
	if s.inForce() == w.pair && s.current == w.pair.release && len(s.drift) == 0 {
		return lane
	}
	return p.do(lane, step{host: host, do: switchTo, pair: w.pair, back: w.back})
}

// serves reports whether an instance of the role serves that is not what its host is to have.
func (p *planner) serves(role wire.Role) bool {
	for host, s := range p.have {
		w := p.want[host]
		if slices.ContainsFunc(s.of(role), func(i instance) bool {
			return i.active == "active" && (i.release != w.pair.release || i.config != w.config[role])
		}) {
			return true
		}
	}
	return false
}

func (p *planner) finish(host string) (lane []step) {
	lane = p.endServices(p.switched(lane, host), host)
	s := p.have[host]
	if garbage := s.garbage(p.want[host].pair); len(garbage) > 0 {
		lane = p.do(lane, step{host: host, do: tidy, names: garbage})
	}
	return lane
}

// keepPairs is how many pairs of the history keep their release and configuration on the host.
const keepPairs = 3

// garbage lists the releases and configurations that a host needs no more, as paths below /opt/killr.
func (s *state) garbage(inForce pair) (paths []string) {
	kept := append(slices.Clone(s.history[max(0, len(s.history)-keepPairs):]), inForce, pair{release: s.current})
	for _, i := range s.instances {
		kept = append(kept, pair{release: i.release})
	}
	for _, release := range s.releases {
		if !slices.ContainsFunc(kept, func(p pair) bool { return p.release == release }) {
			paths = append(paths, "releases/"+release)
		}
	}
	for config := range s.configs {
		if !slices.ContainsFunc(kept, func(p pair) bool { return p.config == config }) {
			paths = append(paths, "configs/"+config)
		}
	}
	slices.Sort(paths)
	return paths
}

// freeName is the first name that no instance has which serves.
func freeName(role wire.Role, instances []instance) string {
	for n := 1; ; n++ {
		name := strconv.Itoa(n)
		if role == wire.RoleEdge { // they share one socket, and its unit names both
			name = string(rune('a' - 1 + n))
		}
		if !slices.ContainsFunc(instances, func(i instance) bool { return i.name == name && i.active == "active" }) {
			return name
		}
	}
}

// apply changes a state as a step that has succeeded does.
func (s *state) apply(d step, w want) {
	same := func(i instance) bool { return i.role == d.role && i.name == d.name }
	switch d.do {
	case prepare:
		s.prepared = true
	case drainHost:
		s.drained = true
	case fillHost:
		s.drained = false
	case copyRelease:
		s.releases = append(s.releases, d.pair.release)
	case writeConfig:
		s.configs[d.pair.config] = w.config
	case migrate:
		s.migrated = "" // is known once it has run
	case switchTo:
		s.current, s.drift = d.pair.release, nil
		if d.back {
			s.history = s.history[:len(s.history)-1]
		}
		if s.inForce() != d.pair {
			s.history = append(s.history, d.pair)
		}
	case openSocket, closeSocket:
		for _, unit := range d.names {
			s.sockets[unit] = d.do == openSocket
		}
	case install:
		s.programs[d.role] = true
	case start:
		s.instances = slices.DeleteFunc(s.instances, same)
		s.instances = append(s.instances, instance{role: d.role, name: d.name, active: "active", begins: true,
			release: d.pair.release, config: w.config[d.role]})
	case stop:
		s.instances = slices.DeleteFunc(s.instances, same)
	case tidy:
		for _, path := range d.names {
			s.releases = slices.DeleteFunc(s.releases, func(r string) bool { return "releases/"+r == path })
			delete(s.configs, strings.TrimPrefix(path, "configs/"))
		}
	}
}

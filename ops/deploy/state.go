package deploy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/schema/wire"
)

// state is what one host has.
type state struct {
	machine  string // as uname says: x86_64
	hostname string
	prepared bool // it has the user killr and the directories
	drained  bool // it is to run nothing

	programs map[wire.Role]bool // services whose program it has
	members  []member           // of PostgreSQL, if it runs one
	voters   []string           // of etcd, if it is one: names of hosts

	releases []string
	configs  map[string]map[wire.Role]string // by hash: what the instances of each role read, see config.roles
	current  string                          // the release that units start
	history  []pair                          // the last is in force
	drift    []string                        // files that are not as the configuration in force has them
	locked   string                          // by whom and since when; "": it is not
	migrated string                          // release and database of the last migration from here

	sockets   map[string]bool // units of sockets, and whether they are active
	instances []instance
}

// pair is a release with a configuration, and the deployment that brought it: the same on all hosts.
type pair struct{ release, config, deployment string }

// encrypted is the mark, among the roles of a configuration, that its edges have a socket for HTTPS.
const encrypted wire.Role = "https"

// instance is one unit of a role.
type instance struct {
	role   wire.Role
	name   string // "1", "2"... or of edges "a", "b"; of services ""
	active string // as systemd says: active, activating, deactivating, failed, inactive
	begins bool   // at the host's boot
	pid    int    // of the process; 0: none

	release string // that it runs
	config  string // that it has read, see config.roles
}

// unit is its name in systemd.
func (i instance) unit() string { return unitOf(i.role, i.name) }

func unitOf(role wire.Role, name string) string {
	if name == "" { // a service
		return "killr-" + string(role) + ".service"
	}
	return "killr-" + string(role) + "@" + name + ".service"
}

// inForce is the last pair of the history.
func (s *state) inForce() pair {
	if len(s.history) == 0 {
		return pair{}
	}
	return s.history[len(s.history)-1]
}

// before is the pair that was in force before the last one.
func (s *state) before() (pair, bool) {
	if len(s.history) < 2 {
		return pair{}, false
	}
	return s.history[len(s.history)-2], true
}

// of lists the instances of a role.
func (s *state) of(role wire.Role) (all []instance) {
	for _, i := range s.instances {
		if i.role == role {
			all = append(all, i)
		}
	}
	return all
}

// serves reports whether an instance of a role runs.
func (s *state) serves(role wire.Role) bool {
	return slices.ContainsFunc(s.instances, func(i instance) bool { return i.role == role && i.active == "active" })
}

// leads reports whether a host has PostgreSQL's primary, as this one, which runs a member, knows.
func (s *state) leads(host string) bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return m.name == host && m.leads() })
}

// parseFacts reads what facts.sh has printed.
func parseFacts(text string) (*state, error) {
	s := &state{
		sockets: map[string]bool{}, configs: map[string]map[wire.Role]string{}, programs: map[wire.Role]bool{},
	}
	whole := false
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.add(words[0], words[1:]); err != nil {
			return nil, fmt.Errorf("the host says %q: %w", strings.TrimSpace(line), err)
		}
		whole = words[0] == "end"
	}
	if !whole {
		return nil, errors.New("the host did not say all that it has")
	}
	return s, nil
}

func (s *state) add(fact string, words []string) error {
	n, counted := map[string]int{
		"machine": 1, "hostname": 1, "release": 1, "config": len(words), "current": 1, "history": 3, "drift": 1,
		"migrated": 2, "socket": 2, "unit": 6, "program": 1, "member": 4, "voter": 1, "prepared": 0, "drained": 0,
		"locked": len(words),
		"end":    0,
	}[fact]
	if !counted {
		return errors.New("this program does not know that")
	}
	if len(words) != n || fact == "config" && n == 0 {
		return fmt.Errorf("there are %d words after it, not %d", len(words), n)
	}
	switch fact {
	case "machine":
		s.machine = words[0]
	case "hostname":
		s.hostname = words[0]
	case "prepared":
		s.prepared = true
	case "drained":
		s.drained = true
	case "program":
		s.programs[wire.Role(words[0])] = true
	case "member":
		s.members = append(s.members, member{words[0], words[1], words[2], words[3]})
	case "voter":
		s.voters = append(s.voters, words[0])
	case "release":
		s.releases = append(s.releases, words[0])
	case "config":
		roles := map[wire.Role]string{}
		for _, word := range words[1:] {
			role, hash, _ := strings.Cut(word, "=")
			roles[wire.Role(role)] = hash
		}
		s.configs[words[0]] = roles
	case "current":
		s.current = words[0]
	case "history":
		s.history = append(s.history, pair{words[0], words[1], words[2]})
	case "drift":
		s.drift = append(s.drift, words[0])
	case "migrated":
		s.migrated = words[0] + " " + words[1]
	case "socket":
		s.sockets[words[0]] = words[1] == "active"
	case "unit":
		return s.addInstance(words)
	case "locked":
		s.locked = strings.Join(words, " ")
	}
	return nil
}

func (s *state) addInstance(words []string) error {
	role, name, numbered := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(words[0], "killr-"), ".service"), "@")
	if numbered && !slices.Contains(rollOrder, wire.Role(role)) ||
		!numbered && !slices.Contains(serviceOrder, wire.Role(role)) {
		return nil // a unit of another kind
	}
	pid, err := strconv.Atoi(words[3])
	if err != nil {
		return err
	}
	if words[1] == "inactive" && words[2] != "enabled" { // systemd knows it by name only: a socket would start it
		return nil
	}
	s.instances = append(s.instances, instance{
		role: wire.Role(role), name: name, active: words[1], begins: words[2] == "enabled", pid: pid,
		release: strings.TrimPrefix(words[4], "-"), config: strings.TrimPrefix(words[5], "-"),
	})
	return nil
}

// openSockets are the units of sockets that listen.
func (s *state) openSockets() (all []string) {
	for _, unit := range slices.Sorted(maps.Keys(s.sockets)) {
		if s.sockets[unit] {
			all = append(all, unit)
		}
	}
	return all
}

// clone is a copy that shares nothing with s.
func (s *state) clone() *state {
	c := *s
	c.releases, c.configs = slices.Clone(s.releases), maps.Clone(s.configs)
	c.history, c.drift = slices.Clone(s.history), slices.Clone(s.drift)
	c.instances = slices.Clone(s.instances)
	c.sockets, c.programs = maps.Clone(s.sockets), maps.Clone(s.programs)
	return &c
}

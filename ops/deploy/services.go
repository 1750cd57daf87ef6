package deploy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// serviceUnits are the units of services that hosts run, and the scripts that some of them start.
//
//go:embed services/*
var serviceUnits embed.FS

// defaultCacheMiB is the memory of a memcached, in MiB.
const defaultCacheMiB = 256

// mostReplicas is on how many nats-servers the stream and the buckets are, if there are as many.
const mostReplicas = 3

// addServices adds what the services of a host read.
func (c *config) addServices(s *Site, h Host) error {
	for _, role := range serviceOrder {
		if !h.Runs(role) {
			continue
		}
		unit, err := serviceUnits.ReadFile("services/killr-" + string(role) + ".service")
		if err != nil {
			return err
		}
		// What is in others may change without a restart.
		own, others := map[string]string{}, map[string]string{}
		reads := []file{{content: unit}}
		for _, kind := range []string{".sh", ".py"} {
			if script, err := serviceUnits.ReadFile("services/" + string(role) + kind); err == nil {
				c.files[envDir+"/"+string(role)+kind] = file{0o644, script}
				reads = append(reads, file{content: script})
			}
		}
		switch role {
		case roleMemcached:
			own["ADDRESS"] = h.Address
			own["MEBIBYTES"] = strconv.Itoa(cmp.Or(s.Services.CacheMiB, defaultCacheMiB))
		case roleNATS:
			text, err := s.busConfig(h)
			if err != nil {
				return err
			}
			c.files[credentialsDir+"/nats/bus-config"] = file{0o600, text}
			reads = append(reads, file{content: text})
		case roleEtcd:
			own, others, err = c.addEtcd(s, h)
		case rolePostgres:
			own, others, err = c.addPostgres(s, h)
		}
		if err != nil {
			return err
		}
		c.files[unitsDir+"/"+unitOf(role, "")] = file{0o644, unit}
		c.roles[role] = hashOf(append(reads, file{content: variables(own)}))
		own[configVariable] = c.roles[role]
		maps.Copy(own, others)
		c.files[envDir+"/"+string(role)+".env"] = file{0o600, variables(own)}
	}
	return nil
}

// makeSeeds makes the seeds of a bus that no host has yet; for a plan in another directory, which temporary names.
func (d *deployment) makeSeeds() (temporary string, err error) {
	if len(d.Site.with(roleNATS)) == 0 {
		return "", nil
	}
	data := filepath.Dir(d.Site.Services.NATSSeeds)
	if stack.SeedsIn(data) == nil {
		if err := d.noneHas(roleNATS, "bus", "seeds are not in "+d.Site.Services.NATSSeeds+
			": copy that directory"); err != nil {
			return "", err
		}
		if d.Plan {
			if data, err = os.MkdirTemp("", "killr-plan-*"); err != nil {
				return "", err
			}
			temporary = data
			site := *d.Site // the caller has the other one
			site.Services.NATSSeeds = filepath.Join(data, seedsBeside)
			d.Site = &site
		}
	}
	_, err = stack.MakeSeeds(data)
	return temporary, err
}

// busConfig is the configuration of a host's nats-server. Several are a cluster.
func (s *Site) busConfig(h Host) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `server_name: %q
listen: %q
jetstream { store_dir: "/var/lib/killr-nats", sync_interval: always, max_memory_store: 64M, max_file_store: 4G }
ping_interval: "2s"
ping_max: 2
write_deadline: "5s"
`, h.Name, net.JoinHostPort(h.Address, "4222"))
	seeds := stack.SeedsIn(filepath.Dir(s.Services.NATSSeeds))
	if seeds == nil {
		return nil, fmt.Errorf("there are no seeds in %s", s.Services.NATSSeeds)
	}
	if all := s.with(roleNATS); len(all) > 1 {
		secret, err := clusterSecret(seeds)
		if err != nil {
			return nil, err
		}
		var routes []string
		for _, other := range all {
			if other.Name != h.Name {
				routes = append(routes, fmt.Sprintf("%q",
					"nats://killr:"+secret+"@"+net.JoinHostPort(other.Address, "6222")))
			}
		}
		fmt.Fprintf(&b, "cluster {\n  name: killr\n  listen: %q\n  no_advertise: true\n  pool_size: -1\n"+
			"  authorization { user: killr, password: %q }\n  routes: [%s]\n}\n",
			net.JoinHostPort(h.Address, "6222"), secret, strings.Join(routes, ", "))
	}
	err := stack.WriteAuthorization(&b, seeds)
	return b.Bytes(), err
}

// clusterSecret is the password by which nats-servers know each other. It is made from the seed of audits, so that all
// machines that deploy have the same, and hosts without nats cannot make it: they have no such seed.
func clusterSecret(seeds stack.Seeds) (string, error) {
	seed, err := os.ReadFile(seeds[wire.RoleAudit])
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte("killr cluster "), seed...))
	return hex.EncodeToString(sum[:]), nil
}

// services brings some services of all hosts to what they are to be. Where none of a kind runs yet, all start at the
// same time: a cluster needs most of its servers. Otherwise one is restarted after the other, PostgreSQL's primary
// last.
func (p *planner) services(roles ...wire.Role) {
	for _, role := range roles {
		serves := func(host string) bool { return p.have[host].serves(role) }
		if !slices.ContainsFunc(p.hosts, serves) {
			p.eachHost(func(host string) []step { return p.service(host, role) })
			continue
		}
		leads := func(host string) bool { return role == rolePostgres && p.have[host].leads(host) }
		for _, last := range []bool{false, true} {
			for _, host := range p.hosts {
				if leads(host) == last {
					p.add(p.service(host, role))
				}
			}
		}
	}
}

// endServices stops what a host is not to run any more, what others need last.
func (p *planner) endServices(lane []step, host string) []step {
	for _, role := range slices.Backward(serviceOrder) {
		if p.want[host].count[role] == 0 && len(p.have[host].of(role)) > 0 && !p.needed(host, role, p.have) {
			lane = p.handOver(lane, host, role)
			lane = p.do(lane, step{host: host, do: stop, role: role})
		}
	}
	return lane
}

// needed reports whether a host that is not to run etcd has to go on, as one of the voters: without most of them
// PostgreSQL has no primary. A voter counts until another one takes its place, so this is so when a deployment with
// more voters is taken back. When no host is to run etcd, none is needed.
func (in intent) needed(host string, role wire.Role, have map[string]*state) bool {
	if role != roleEtcd || !slices.Contains(votersOf(have), host) {
		return false
	}
	stay, any := 0, false
	for _, w := range in.want {
		any = any || w.count[roleEtcd] > 0
	}
	for _, name := range votersOf(have) {
		w, planned := in.want[name]
		if s := have[name]; w.count[roleEtcd] > 0 || !planned && s != nil && s.serves(roleEtcd) {
			stay++
		}
	}
	return any && 2*stay <= len(votersOf(have))
}

// votersOf are etcd's voters, as the host knows them that knows most.
func votersOf(have map[string]*state) (voters []string) {
	for _, s := range have {
		if len(s.voters) > len(voters) {
			voters = s.voters
		}
	}
	return voters
}

// plan computes the steps, and says what goes on although it is not to.
func (d *deployment) plan(in intent) []stage {
	for _, host := range in.hosts {
		if in.want[host].count[roleEtcd] == 0 && in.needed(host, roleEtcd, d.have) {
			d.say("%-10s  etcd goes on, as PostgreSQL needs most of the voters %s: give the host the role etcd, and "+
				"run `killr deploy`", host, strings.Join(votersOf(d.have), ", "))
		}
	}
	return planOf(in, d.have)
}

// handOver lets another host become PostgreSQL's primary, before the one on this host ends.
func (p *planner) handOver(lane []step, host string, role wire.Role) []step {
	other := func(name string) bool { return name != host && p.have[name].serves(rolePostgres) }
	if role == rolePostgres && p.have[host].serves(role) &&
		slices.ContainsFunc(slices.Collect(maps.Keys(p.have)), other) {
		lane = p.do(lane, step{host: host, do: handOver})
	}
	return lane
}

// service brings a service on a host to what it is to be.
func (p *planner) service(host string, role wire.Role) (lane []step) {
	s, w := p.have[host], p.want[host]
	good := false
	for _, i := range s.of(role) {
		good = good || i.active == "active" && i.begins && i.config == w.config[role]
	}
	if w.count[role] == 0 || good {
		return nil
	}
	if names := packagesOf[role]; len(names) > 0 && !s.programs[role] {
		lane = p.do(lane, step{host: host, do: install, role: role, names: names})
	}
	lane = p.switched(lane, host)
	lane = p.handOver(lane, host, role)
	return p.do(lane, step{host: host, do: start, pair: w.pair, role: role})
}

// packagesOf are the packages of Debian that have the program of a service. nats-server is part of this one.
var packagesOf = map[wire.Role][]string{
	roleEtcd: {"etcd-server", "etcd-client"}, roleMemcached: {"memcached"},
	// Where python3-openssl is, Patroni's TLS needs python3-idna, which no package brings.
	rolePostgres: {"postgresql", "patroni", "python3-idna"},
}

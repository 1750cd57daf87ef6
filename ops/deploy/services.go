package deploy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// serviceUnits are the units of services that hosts run.
//
//go:embed services/*.service
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
		own := map[string]string{}
		reads := []file{{content: unit}}
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
		}
		c.files[unitsDir+"/"+unitOf(role, "")] = file{0o644, unit}
		c.roles[role] = hashOf(append(reads, file{content: variables(own)}))
		own[configVariable] = c.roles[role]
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
		if err := d.noneHasBus(); err != nil {
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

// noneHasBus refuses to make seeds while a host has a bus with other ones, or may have.
func (d *deployment) noneHasBus() error {
	for _, h := range d.Site.Hosts {
		s := d.have[h.Name]
		if s == nil && !h.Runs(roleNATS) {
			continue
		}
		if s == nil {
			return fmt.Errorf("%s is left out, and may run a bus whose seeds are not in %s: copy that directory from "+
				"the machine that deployed before", h.Name, d.Site.Services.NATSSeeds)
		}
		was := len(s.of(roleNATS)) > 0
		for _, config := range s.configs {
			was = was || config[roleNATS] != ""
		}
		if was {
			return fmt.Errorf("%s runs a bus whose seeds are not in %s: copy that directory from the machine that "+
				"deployed before", h.Name, d.Site.Services.NATSSeeds)
		}
	}
	return nil
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

// services brings the services of all hosts to what they are to be. Where none of a kind runs yet, all start at the
// same time: a cluster needs most of its servers. Otherwise one is restarted after the other.
func (p *planner) services() {
	for _, role := range serviceOrder {
		serves := false
		for _, host := range p.hosts {
			for _, i := range p.have[host].of(role) {
				serves = serves || i.active == "active"
			}
		}
		if !serves {
			p.eachHost(func(host string) []step { return p.service(host, role) })
			continue
		}
		for _, host := range p.hosts {
			p.add(p.service(host, role))
		}
	}
}

// endServices stops what a host is not to run any more.
func (p *planner) endServices(lane []step, host string) []step {
	for _, role := range serviceOrder {
		if p.want[host].count[role] == 0 && len(p.have[host].of(role)) > 0 {
			lane = p.do(lane, step{host: host, do: stop, role: role})
		}
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
	if role == roleMemcached && !s.memcached {
		lane = p.do(lane, step{host: host, do: install, names: []string{"memcached"}})
	}
	lane = p.switched(lane, host)
	return p.do(lane, step{host: host, do: start, pair: w.pair, role: role})
}

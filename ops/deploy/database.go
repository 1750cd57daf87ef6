package deploy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/schema/wire"
)

const (
	// defaultBuffersMiB is the memory of a PostgreSQL for its own copies of pages of the disk.
	defaultBuffersMiB = 256
	// mostConnections is how many connections a PostgreSQL takes: of 8 renderers on machines with 8 processors, with 79
	// each, and of one more while they are replaced.
	mostConnections = 800

	postgresPort, patroniPort, etcdPort, etcdPeerPort = "5432", "8008", "2379", "2380"
)

// postgresKeys is the directory of the certificates while Patroni runs, which patronictl of root reads, too.
const postgresKeys = "/run/killr-postgres/"

// checkDatabase says what is wrong with the roles etcd and postgres of hosts.
func (s *Site) checkDatabase(f siteFile, at lines) error {
	voters, servers := len(s.with(roleEtcd)), len(s.with(rolePostgres))
	switch {
	case voters == 2 || voters > 3:
		return at.wrong("host", "%d hosts have the role etcd: give it to 1, or to 3, of which one may die", voters)
	case servers > 0 && voters == 0:
		return at.wrong("host", "hosts run postgres, and none runs etcd, which knows who is the primary: "+
			"give the role etcd to 1 host, or to 3")
	case voters > 0 && servers == 0:
		return at.wrong("host", "hosts run etcd, and none runs postgres, for which it is")
	case servers > 0 && f.Services.Postgres != "":
		return at.wrong("services.postgres", "hosts run postgres, so its address is known: leave it out")
	case servers == 0 && f.Services.BuffersMiB != 0:
		return at.wrong("services.postgres-memory", "no host has the role postgres")
	case f.Services.BuffersMiB != 0 && (f.Services.BuffersMiB < 16 || f.Services.BuffersMiB > 1<<20):
		return at.wrong("services.postgres-memory", "it is %d, and may be 16 to %d", f.Services.BuffersMiB, 1<<20)
	}
	for _, network := range f.Services.PostgresFrom {
		_, _, err := net.ParseCIDR(network)
		if network != "samenet" && err != nil {
			return at.wrong("services.postgres-from", "%q is no network, such as 10.0.0.0/24, and not samenet", network)
		}
	}
	return nil
}

// databaseURL is the address of the hosts' PostgreSQL, of whichever host is the primary.
func (s *Site) databaseURL(key secret) string {
	var hosts []string
	for _, h := range s.with(rolePostgres) {
		hosts = append(hosts, net.JoinHostPort(h.Address, postgresPort))
	}
	return fmt.Sprintf("postgres://killr:%s@%s/killr?sslmode=disable", key.password("site"), strings.Join(hosts, ","))
}

// replicaURLs are the addresses of the hosts' PostgreSQL, each alone, that of a host itself first. One of them is the
// primary, and is read like a replica meanwhile. "": there is only one.
func (s *Site) replicaURLs(own Host) string {
	all := s.with(rolePostgres)
	if len(all) < 2 {
		return ""
	}
	var urls []string
	for _, h := range all {
		urls = append(urls, fmt.Sprintf("postgres://killr:%s@%s/killr?sslmode=disable", s.secret.password("site"),
			net.JoinHostPort(h.Address, postgresPort)))
	}
	return strings.Join(nearestFirst(urls, own.Address), " ")
}

// addEtcd adds what etcd of a host reads. It is the voters' list alone that changes without a restart: who has data
// knows them.
func (c *config) addEtcd(s *Site, h Host) (own, others map[string]string, err error) {
	var voters, clients []string
	for _, other := range s.with(roleEtcd) {
		voters = append(voters, other.Name+"=https://"+net.JoinHostPort(other.Address, etcdPeerPort))
		if other.Name != h.Name {
			clients = append(clients, "https://"+net.JoinHostPort(other.Address, etcdPort))
		}
	}
	listens := h.Address
	if net.ParseIP(listens) == nil {
		listens = "0.0.0.0" // it takes no name
	}
	own = map[string]string{
		"NAME":          h.Name,
		"PEER":          "https://" + net.JoinHostPort(h.Address, etcdPeerPort),
		"CLIENT":        "https://" + net.JoinHostPort(h.Address, etcdPort),
		"LISTEN_PEER":   "https://" + net.JoinHostPort(listens, etcdPeerPort),
		"LISTEN_CLIENT": "https://" + net.JoinHostPort(listens, etcdPort),
	}
	others = map[string]string{"VOTERS": strings.Join(voters, ","), "OTHERS": strings.Join(clients, ",")}
	return own, others, c.addKeys(s, h, roleEtcd, nil)
}

// addPostgres adds what PostgreSQL and Patroni of a host read.
func (c *config) addPostgres(s *Site, h Host) (own, others map[string]string, err error) {
	var members, voters []string
	for _, other := range s.with(rolePostgres) {
		members = append(members, other.Address)
	}
	for _, other := range s.with(roleEtcd) {
		voters = append(voters, net.JoinHostPort(other.Address, etcdPort))
	}
	shared, err := json.MarshalIndent(sharedConfig(), "", "  ")
	if err != nil {
		return nil, nil, err
	}
	patroni := s.patroniConfig(h)
	without, err := json.Marshal(patroni)
	if err != nil {
		return nil, nil, err
	}
	// Patroni learns of other voters from those that it knows.
	patroni["etcd3"].(map[string]any)["hosts"] = voters
	text, err := json.MarshalIndent(patroni, "", "  ") // which is YAML, too
	if err != nil {
		return nil, nil, err
	}
	own = map[string]string{"ADDRESS": h.Address, "PATRONI": hashOf([]file{{content: without}})}
	others = map[string]string{"MEMBERS": strings.Join(members, ",")}
	return own, others, c.addKeys(s, h, rolePostgres, map[string][]byte{
		"patroni": text, "shared": shared, "site-password": []byte(s.secret.password("site") + "\n"),
	})
}

// sharedConfig is what all members of Patroni have in common, which it keeps in etcd. A primary whose process dies is
// not started again but replaced. A commit waits for a replica, if there is one. A primary that has lost etcd goes on
// as long as it reaches all other members.
func sharedConfig() map[string]any {
	return map[string]any{
		"loop_wait": 1, "retry_timeout": 3, "ttl": 20, "primary_start_timeout": 0, "synchronous_mode": true,
		"failsafe_mode": true,
		"postgresql": map[string]any{
			"use_pg_rewind": true,
			"parameters": map[string]any{
				"wal_level": "replica", "hot_standby_feedback": "on", "max_connections": mostConnections,
			},
		},
	}
}

// patroniConfig is the configuration of a host's Patroni, but for the voters. The superuser signs in by the socket
// alone, as the user postgres.
func (s *Site) patroniConfig(h Host) map[string]any {
	const tls = postgresKeys
	hba := []string{"local all postgres peer"}
	networks := s.Services.PostgresFrom
	if len(networks) == 0 {
		networks = []string{"samenet"}
	}
	for _, network := range networks {
		hba = append(hba, "host replication replicator "+network+" scram-sha-256",
			"host postgres rewind "+network+" scram-sha-256", "host killr killr "+network+" scram-sha-256")
	}
	user := func(name string) map[string]string {
		return map[string]string{"username": name, "password": s.secret.password(name)}
	}
	return map[string]any{
		"scope": "killr", "name": h.Name,
		"restapi": map[string]any{
			"listen":          net.JoinHostPort(h.Address, patroniPort),
			"connect_address": net.JoinHostPort(h.Address, patroniPort),
			"certfile":        tls + "cert", "keyfile": tls + "key", "cafile": tls + "ca", "verify_client": "required",
		},
		"ctl":      map[string]any{"certfile": tls + "cert", "keyfile": tls + "key", "cacert": tls + "ca"},
		"etcd3":    map[string]any{"protocol": "https", "cert": tls + "cert", "key": tls + "key", "cacert": tls + "ca"},
		"watchdog": map[string]any{"mode": "off"},
		"bootstrap": map[string]any{
			"dcs":       sharedConfig(),
			"initdb":    initdbOptions,
			"post_init": "/bin/bash /etc/killr/postgres.sh make",
		},
		"postgresql": map[string]any{
			"listen":          net.JoinHostPort(h.Address, postgresPort),
			"connect_address": net.JoinHostPort(h.Address, postgresPort),
			"data_dir":        "/var/lib/killr-postgres/data", "pgpass": "/run/killr-postgres/pgpass",
			"use_unix_socket": true, "pg_hba": hba, "basebackup": []any{map[string]string{"checkpoint": "fast"}},
			"authentication": map[string]any{
				"superuser":   map[string]string{"username": "postgres"},
				"replication": user("replicator"), "rewind": user("rewind"),
			},
			"parameters": map[string]any{
				"unix_socket_directories": "/run/killr-postgres", "password_encryption": "scram-sha-256",
				"shared_buffers": strconv.Itoa(cmp.Or(s.Services.BuffersMiB, defaultBuffersMiB)) + "MB",
				"max_wal_size":   "2GB", "maintenance_work_mem": "256MB", "work_mem": "16MB", "jit": "off",
				"random_page_cost": "1.1", "autovacuum_naptime": "15s", "timezone": "UTC", "log_timezone": "UTC",
				"log_min_duration_statement": "1s",
			},
		},
	}
}

// initdbOptions are those of ops/stack, for its reasons, and checksums of pages.
var initdbOptions = []any{
	map[string]string{"encoding": "UTF8"}, map[string]string{"locale": "C"}, map[string]string{"lc-ctype": "C.UTF-8"},
	"data-checksums",
}

// addKeys adds the certificates of a host's service, and other secrets, to its credentials.
func (c *config) addKeys(s *Site, h Host, role wire.Role, more map[string][]byte) error {
	keys, err := s.secret.certificates(h.Address)
	if err != nil {
		return err
	}
	for _, all := range []map[string][]byte{keys, more} {
		for name, content := range all {
			c.files[credentialsDir+"/"+string(role)+"/"+name] = file{0o600, content}
		}
	}
	return nil
}

// checkMembers refuses what would leave the site without its database: hosts that run it, and are not to.
func (d *deployment) checkMembers() error {
	for _, h := range d.Site.Hosts { // the first that knows
		s := d.have[h.Name]
		if s == nil || len(s.voters) == 0 {
			continue
		}
		stay := 0
		for _, name := range s.voters {
			if v := d.Site.host(name); v != nil && v.Runs(roleEtcd) {
				stay++
			}
		}
		if 2*stay <= len(s.voters) && len(d.Site.with(roleEtcd)) > 0 {
			return fmt.Errorf("etcd has the voters %s, and %s only %d of them: most have to stay; replace one, "+
				"deploy, and then the next", strings.Join(s.voters, ", "), d.Site.Path, stay)
		}
		break
	}
	for _, m := range d.members() {
		h := d.Site.host(m.name)
		if (h == nil || !h.Runs(rolePostgres)) && m.runs() && len(d.Site.with(rolePostgres)) > 0 {
			return fmt.Errorf("%s runs PostgreSQL, and %s does not say so: give it the role postgres, run `killr "+
				"drain %s`, and then take it away. If its machine is gone, wait 20 s", m.name, d.Site.Path, m.name)
		}
	}
	return nil
}

// checkMove refuses to give a site that runs another database, which is empty: what renderers of before write meanwhile
// would be in the former one alone.
func (d *deployment) checkMove() error {
	serves := false
	for _, s := range d.have {
		if s.configs[s.inForce().config][rolePostgres] != "" {
			return nil
		}
		serves = serves || s.serves(wire.RoleRenderer)
	}
	if serves && len(d.Site.with(rolePostgres)) > 0 {
		return errors.New("renderers use a database that is not of the role postgres, which begins with an empty " +
			"one: stop them by `killr scale renderer=0`, dump the database, deploy, restore the dump, " +
			"and start them again")
	}
	return nil
}

// members are those of PostgreSQL, as the first host knows them that has any.
func (d *deployment) members() []member {
	for _, host := range d.hosts {
		if s := d.have[host]; s != nil && len(s.members) > 0 {
			return s.members
		}
	}
	return nil
}

// checkLeftOut refuses to leave out most voters, or all that run PostgreSQL: nothing could be done then.
func (o Options) checkLeftOut() error {
	left := func(h Host) bool { return !slices.Contains(o.Without, h.Name) }
	count := func(hosts []Host) (n int) {
		for _, h := range hosts {
			if left(h) {
				n++
			}
		}
		return n
	}
	voters, servers := o.Site.with(roleEtcd), o.Site.with(rolePostgres)
	if n := count(voters); len(voters) > 0 && 2*n <= len(voters) {
		return fmt.Errorf("%d of %d hosts with etcd are left, and PostgreSQL needs most of them: boot one first", n,
			len(voters))
	}
	if len(servers) > 0 && count(servers) == 0 {
		return fmt.Errorf("no host with postgres is left: boot one first")
	}
	return nil
}

// member is a PostgreSQL as Patroni tells of it.
type member struct {
	name   string // of its host
	role   string // Leader, Sync_Standby, Replica
	state  string // running, streaming, stopped...
	behind string // MB; "-": not said, as of the primary
}

func (m member) leads() bool { return m.role == "Leader" }

// runs reports whether PostgreSQL runs there, or will.
func (m member) runs() bool { return m.state != "stopped" && m.state != "crashed" }

// String says what it is, for people.
func (m member) String() string {
	switch {
	case m.leads():
		return "primary, " + m.state
	case m.role == "Sync_Standby":
		return fmt.Sprintf("replica with all acknowledged changes, %s, %s MB behind", m.state, m.behind)
	}
	return fmt.Sprintf("replica, %s, %s MB behind", m.state, m.behind)
}

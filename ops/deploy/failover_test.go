//go:build linux

package deploy_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/testenv"
)

// withDatabase is a site whose PostgreSQL is on m1 and m3, so that either may die: the one bus is on m2.
const withDatabase = `[services]
memcached-memory = 64
pictures = "/var/lib/killr/pictures"
postgres-memory = 64

[counts]
renderer = 3

[[host]]
name = "m1"
roles = ["edge", "renderer", "cachefill", "etcd", "postgres"]

[[host]]
name = "m2"
address = "10.77.0.2"
roles = ["edge", "renderer", "nats", "memcached", "etcd"]

[[host]]
name = "m3"
roles = ["edge", "renderer", "etcd", "postgres"]
`

// failover brings PostgreSQL to hosts, and takes its primary away in each way. No acknowledged change is lost, no
// version is given out twice, and pages are shown meanwhile.
func (o *operator) failover(t *testing.T) {
	o.moveDatabase(t)
	m1, m2, m3 := o.hosts[0], o.hosts[1], o.hosts[2]
	if out := o.must(t, o.program, "deploy"); out != "nothing to do\n" {
		t.Error("a second deployment of the same did something")
	}
	if out := o.must(t, o.program, "status"); strings.Count(out, "  primary, running") != 1 ||
		strings.Count(out, "replica with all acknowledged changes") != 1 {
		t.Error("status does not say who is the primary, and who follows it")
	}
	visits, changes := o.visit(t, 20, m2), o.change(t, m2)

	t.Run("the primary's process is killed", func(t *testing.T) {
		was := o.primary(t)
		o.on(was, killPostmaster)
		changes.await(t)
		if now := o.primary(t); now == was {
			t.Errorf("%s is the primary again", now.Name)
		}
		o.inStep(t)
	})

	t.Run("another configuration", func(t *testing.T) {
		was, unavailable := o.primary(t), changes.refused()
		text := strings.Replace(withDatabase, "postgres-memory = 64", "postgres-memory = 96", 1)
		if err := os.WriteFile(o.site(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out := o.must(t, o.program, "deploy")
		if strings.Count(out, "start killr-postgres") != 2 || strings.Contains(out, "start killr-etcd") {
			t.Error("it restarts PostgreSQL on both hosts, and nothing else")
		}
		if now := o.primary(t); now == was {
			t.Errorf("%s was restarted while it was the primary", now.Name)
		}
		o.inStep(t)
		t.Logf("%d attempts of changes were refused meanwhile", changes.refused()-unavailable)
	})

	t.Run("the primary's machine is lost", func(t *testing.T) {
		lost := o.primary(t)
		if err := lost.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes.await(t)
		if out, err := o.killr(t, o.program, "deploy", "--without", lost.Name, "--without", "m2"); err == nil ||
			!strings.Contains(out, "PostgreSQL needs most of them") {
			t.Error("most of the voters may be left out")
		}
		if err := lost.Boot(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.inStep(t)
	})
	visits.end()
	if len(visits.failed) > 0 {
		t.Errorf("%d of %d pages failed: %s", len(visits.failed), len(visits.took), visits.failed[0])
	}
	changes.check(t, o)

	t.Run("the primary is drained", func(t *testing.T) {
		was := o.primary(t)
		o.must(t, o.program, "drain", was.Name)
		if now := o.primary(t); now == was {
			t.Errorf("%s, which is drained, is the primary", now.Name)
		}
		other := m1
		if was == m1 {
			other = m3
		}
		if out, err := o.killr(t, o.program, "drain", other.Name); err == nil {
			t.Errorf("the last PostgreSQL was drained: %s", out)
		}
	})
}

// killPostmaster kills PostgreSQL's first process. Patroni is not told.
const killPostmaster = "kill -9 $(head -n 1 /var/lib/killr-postgres/data/postmaster.pid)"

// moveDatabase begins again with bare machines, on which PostgreSQL runs as well, and gives people pages there.
func (o *operator) moveDatabase(t testing.TB) {
	t.Helper()
	const bare = `systemctl stop 'killr-*'; cd /etc/systemd/system; rm -f killr-*.service killr-*.socket killr.target
		rm -rf /etc/systemd/system/*.wants/killr-* /opt/killr /etc/killr /var/lib/killr /var/lib/killr-*
		systemctl daemon-reload`
	for _, m := range o.hosts {
		o.on(m, bare)
	}
	o.client.CloseIdleConnections()
	if err := os.WriteFile(o.site(), []byte(withDatabase), 0o600); err != nil {
		t.Fatal(err)
	}
	o.must(t, o.program, "deploy")
	o.own = o.on(o.hosts[0], "cat /etc/killr/credentials/renderer/postgres")
	o.populate(t)
	o.inStep(t)
}

// connect connects to the site's database.
func (o *operator) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(o.database)
	if o.own != "" {
		config, err = pgx.ParseConfig(o.own + "&target_session_attrs=read-write")
	}
	if err != nil {
		t.Fatal(err)
	}
	if o.own != "" {
		config.DialFunc = o.fleet.Dial
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// members lists PostgreSQL's members as "m1 Leader running", as the first host knows them that answers.
func (o *operator) members() []string {
	for _, m := range o.hosts {
		select {
		case <-m.Ended():
			continue
		default:
		}
		out := o.on(m, `if systemctl is-active --quiet killr-postgres; then
			timeout 10 patronictl -c /etc/killr/credentials/postgres/patroni list -f tsv |
				tail -n +2 | tr ' ' _ | cut -f 2,4,5 | tr '\t' ' '; fi`)
		if strings.Contains(out, " ") && !strings.Contains(out, "exit status") {
			return strings.Split(out, "\n")
		}
	}
	return nil
}

// primary waits until PostgreSQL has a primary, and returns its host.
func (o *operator) primary(t testing.TB) (host *fleet.Machine) {
	t.Helper()
	testenv.Within(t, 2*time.Minute, "PostgreSQL has a primary", func() bool {
		for _, line := range o.members() {
			i := slices.IndexFunc(o.hosts, func(m *fleet.Machine) bool { return line == m.Name+" Leader running" })
			if i >= 0 {
				host = o.hosts[i]
				return true
			}
		}
		return false
	})
	return host
}

// inStep waits until a replica has all acknowledged changes.
func (o *operator) inStep(t testing.TB) {
	t.Helper()
	testenv.Within(t, 3*time.Minute, "a replica is in step", func() bool {
		return slices.ContainsFunc(o.members(), func(line string) bool {
			return strings.Contains(line, " Sync_Standby ") && !strings.Contains(line, "stopped")
		})
	})
}

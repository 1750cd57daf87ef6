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
address = "10.77.0.1"
roles = ["edge", "renderer", "cachefill", "etcd", "postgres"]

[[host]]
name = "m2"
address = "10.77.0.2"
roles = ["edge", "renderer", "nats", "memcached", "etcd"]

[[host]]
name = "m3"
address = "10.77.0.3"
roles = ["edge", "renderer", "etcd", "postgres"]
`

// TestFailover takes PostgreSQL's primary away by each kind of fault. Changes go on, none that was acknowledged is
// lost, and no version is given out twice.
func TestFailover(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.moveDatabase(t, withDatabase)
	changes, visits := o.change(t, o.hosts[1], soon), o.visit(t, 10, o.hosts[1])
	for _, fault := range []func(*fleet.Machine){
		func(m *fleet.Machine) { o.on(m, killPostmaster) },
		func(m *fleet.Machine) { o.on(m, handOver) },
		func(m *fleet.Machine) {
			if err := m.Kill(t.Context()); err != nil {
				t.Error(err)
			}
		},
	} {
		var was *fleet.Machine
		changes.hold(t, func() { was = o.inStep(t) })
		changes.await(t)
		began := time.Now()
		fault(was)
		changes.await(t)
		t.Logf("%s lost its primary: changes are taken again after %.1f s", was.Name, time.Since(began).Seconds())
		changes.hold(t, func() { o.primary(t, was) })
		changes.await(t)
	}
	visits.end()
	if len(visits.failed) > 0 {
		t.Errorf("%d of %d pages failed: %s", len(visits.failed), len(visits.took), visits.failed[0])
	}
	lost, twice := changes.lost(t, o)
	if lost > 0 || twice > 0 || len(changes.titles) == 0 {
		t.Errorf("of %d acknowledged changes %d are not there once, and %d have versions of before",
			len(changes.titles), lost, twice)
	}
}

// killPostmaster kills PostgreSQL's first process. Patroni is not told.
const killPostmaster = "kill -9 $(head -n 1 /var/lib/killr-postgres/data/postmaster.pid)"

// moveDatabase begins with bare machines and a site.toml by which they run PostgreSQL, and gives people pages there.
func (o *operator) moveDatabase(t testing.TB, site string) {
	t.Helper()
	if err := os.WriteFile(o.site(), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	o.must(t, o.program, "deploy")
	o.own = o.on(o.hosts[0], "cat /etc/killr/credentials/renderer/postgres")
	o.populate(t)
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

// primary waits until PostgreSQL has a primary, on another host than some, and returns its host.
func (o *operator) primary(t testing.TB, but ...*fleet.Machine) (host *fleet.Machine) {
	t.Helper()
	testenv.Within(t, 2*time.Minute, "PostgreSQL has a primary", func() bool {
		host = o.leader(o.members())
		return host != nil && !slices.Contains(but, host)
	})
	return host
}

// leader is the host of PostgreSQL's primary among members; nil: there is none.
func (o *operator) leader(members []string) *fleet.Machine {
	i := slices.IndexFunc(o.hosts, func(m *fleet.Machine) bool {
		return slices.Contains(members, m.Name+" Leader running")
	})
	if i < 0 {
		return nil
	}
	return o.hosts[i]
}

// inStep waits until a replica has all acknowledged changes of a primary, and returns the host of that.
func (o *operator) inStep(t testing.TB) (primary *fleet.Machine) {
	t.Helper()
	testenv.Within(t, 3*time.Minute, "a replica is in step", func() bool {
		members := o.members()
		primary = o.leader(members)
		return primary != nil && slices.ContainsFunc(members, func(line string) bool {
			return strings.Contains(line, " Sync_Standby ") && !strings.Contains(line, "stopped")
		})
	})
	return primary
}

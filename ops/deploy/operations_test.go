//go:build linux

package deploy_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/fleet"
)

// operations is a site on five machines that is changed in its operation. Those who use it do so by the edge of m2,
// which has the bus, and stays.
type operations struct {
	*operator
	memory int      // MiB of each PostgreSQL
	places []string // hosts with their roles: "m1 edge renderer"
}

// places are those of a site whose PostgreSQL is on m1 and m3, with one voter of etcd.
var places = []string{
	"m1 edge renderer cachefill postgres",
	"m2 edge renderer nats memcached etcd",
	"m3 edge renderer postgres",
}

// text is the site.toml.
func (o *operations) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[services]\nmemcached-memory = 64\npictures = \"/var/lib/killr/pictures\"\npostgres-memory = %d\n"+
		"\n[counts]\nrenderer = 3\n", o.memory)
	for _, place := range o.places {
		words := strings.Fields(place)
		fmt.Fprintf(&b, "\n[[host]]\nname = %q\naddress = \"10.77.0.%s\"\nroles = [\"%s\"]\n", words[0], words[0][1:],
			strings.Join(words[1:], `", "`))
	}
	return b.String()
}

// deploy writes site.toml and deploys.
func (o *operations) deploy(t testing.TB) (out string, err error) {
	t.Helper()
	if err := os.WriteFile(o.site(), []byte(o.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	return o.killr(t, o.program, "deploy")
}

// place is the place of a host among places.
func (o *operations) place(name string) int {
	return slices.IndexFunc(o.places, func(p string) bool { return strings.HasPrefix(p, name+" ") })
}

// step does something while somebody makes albums and visitors look at pages. It fails when a page failed, when a
// change that was acknowledged is lost, or, if none need be, when one was refused.
func (o *operations) step(b *testing.B, name string, refuses bool, do func() error) {
	b.Helper()
	m2 := o.hosts[1]
	changes, visits := o.change(b, m2, 200*time.Millisecond), o.visit(b, 10, m2)
	changes.await(b)
	began := time.Now()
	if err := do(); err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	took := time.Since(began)
	changes.await(b)
	visits.end()
	lost, twice := changes.lost(b, o.operator)
	b.Logf("%s: %.0f s, %d changes, the longest pause %.1f s, %d attempts refused; %d pages, %d failed", name,
		took.Seconds(), len(changes.titles), changes.pauseSince(began).Seconds(), changes.refused(),
		len(visits.took), len(visits.failed))
	b.ReportMetric(changes.pauseSince(began).Seconds(), name+"-pause-s")
	b.ReportMetric(float64(changes.refused()), name+"-refused")
	b.ReportMetric(float64(len(visits.failed)), name+"-failed-pages")
	if lost > 0 || twice > 0 {
		b.Errorf("%s: of %d acknowledged changes %d are not there once, and %d have versions of before", name,
			len(changes.titles), lost, twice)
	}
	if changes.refused() > 0 && !refuses {
		b.Errorf("%s: %d attempts of changes were refused", name, changes.refused())
	}
	if len(visits.failed) > 0 {
		b.Errorf("%s: %d of %d pages failed: %s", name, len(visits.failed), len(visits.took), visits.failed[0])
	}
}

// voters are the names of etcd's voters that have begun, as m2 knows them.
func (o *operations) voters() (names []string) {
	out := o.on(o.hosts[1], `. /etc/killr/etcd.env; cd /etc/killr/credentials/etcd; ETCDCTL_API=3 etcdctl \
		--endpoints "$CLIENT" --cacert ca --cert cert --key key member list`)
	for line := range strings.Lines(out) {
		if words := strings.Split(strings.TrimSpace(line), ", "); len(words) == 6 && words[1] == "started" &&
			words[5] == "false" {
			names = append(names, words[2])
		}
	}
	slices.Sort(names)
	return names
}

// wantVoters fails unless etcd has just these voters.
func (o *operations) wantVoters(b *testing.B, want ...string) {
	b.Helper()
	slices.Sort(want)
	if got := o.voters(); !slices.Equal(got, want) {
		b.Errorf("etcd's voters are %q, want %q", got, want)
	}
}

// BenchmarkOperations does to a site what ops/deploy/README.md says of PostgreSQL and etcd on hosts, one thing after
// the other, and measures what those notice who use it. It fails when they lose something. Run it with -benchtime 1x.
func BenchmarkOperations(b *testing.B) {
	for b.Loop() {
		o := &operations{operator: newOperatorOf(b, 5), memory: 64, places: slices.Clone(places)}
		o.moveDatabase(b, o.text())
		o.inStep(b)
		o.moreVoters(b)
		o.moreMemory(b)
		o.drainPrimary(b)
	}
}

// neverRuns keeps etcd from running on a host, once the others know it.
const neverRuns = `mkdir -p /opt/broken /etc/systemd/system/killr-etcd.service.d
	printf '#!/bin/sh\nexit 1\n' >/opt/broken/etcd
	chmod 755 /opt/broken/etcd
	printf '[Service]\nEnvironment=PATH=/opt/broken:/usr/bin:/bin\n' >/etc/systemd/system/killr-etcd.service.d/broken.conf
	systemctl daemon-reload`

// moreVoters makes one voter three. First the new ones do not run, and the deployment is taken back.
func (o *operations) moreVoters(b *testing.B) {
	m1 := o.hosts[0]
	for _, name := range []string{"m1", "m3"} {
		o.places[o.place(name)] += " etcd"
	}
	o.on(m1, neverRuns)
	o.step(b, "taken-back", false, func() error {
		if out, err := o.deploy(b); err == nil || !strings.Contains(out, "the release was taken back: m1: killr-etcd") {
			return fmt.Errorf("a voter that does not run was not taken back: %w", err)
		}
		return nil
	})
	o.wantVoters(b, "m2")
	o.on(m1, "rm -r /etc/systemd/system/killr-etcd.service.d; systemctl daemon-reload")
	o.step(b, "three-voters", false, func() error {
		_, err := o.deploy(b)
		return err
	})
	o.wantVoters(b, "m1", "m2", "m3")
}

// moreMemory gives each PostgreSQL more memory, which restarts them.
func (o *operations) moreMemory(b *testing.B) {
	o.memory = 96
	o.step(b, "memory", false, func() error {
		_, err := o.deploy(b)
		return err
	})
	for _, m := range []*fleet.Machine{o.hosts[0], o.hosts[2]} {
		const ask = "runuser -u postgres -- psql -h /run/killr-postgres -Atc 'SHOW shared_buffers'"
		if got := o.on(m, ask); got != "96MB" {
			b.Errorf("%s has shared_buffers %s, want 96MB", m.Name, got)
		}
	}
}

// drainPrimary drains the primary's host, and adds it again.
func (o *operations) drainPrimary(b *testing.B) {
	was := o.inStep(b)
	o.step(b, "drain", false, func() error {
		_, err := o.killr(b, o.program, "drain", was.Name)
		return err
	})
	if now := o.primary(b); now == was {
		b.Errorf("%s was drained, and is the primary", was.Name)
	}
	o.step(b, "add", false, func() error {
		_, err := o.killr(b, o.program, "add", was.Name)
		return err
	})
	o.inStep(b)
}

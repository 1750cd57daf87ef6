//go:build linux

package deploy_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// BenchmarkDeploy measures what visitors notice of an upgrade of every role, at 300 requests a second, how long a
// rollback takes, and how soon a new host has its first page. Run it with -benchtime 1x, on a machine that does nothing
// else.
func BenchmarkDeploy(b *testing.B) {
	const perSecond = 300
	for b.Loop() {
		o := newOperator(b)
		m1, m2, m3 := o.hosts[0], o.hosts[1], o.hosts[2]
		second := o.release(b, "second")
		o.must(b, o.program, "deploy")
		o.populate(b)

		warm := o.visit(b, perSecond, m1, m2)
		time.Sleep(5 * time.Second)
		warm.end()
		at := o.visit(b, perSecond, m1, m2)
		time.Sleep(20 * time.Second)
		at.end()
		during := o.visit(b, perSecond, m1, m2)
		o.must(b, second, "deploy")
		during.end()
		b.ReportMetric(at.p99(), "p99-before-ms")
		b.ReportMetric(during.p99(), "p99-during-ms")
		b.ReportMetric(float64(len(at.took)), "requests-before")
		b.ReportMetric(float64(len(during.took)), "requests-during")
		b.ReportMetric(float64(len(at.failed)+len(during.failed)), "failed")
		for _, why := range slices.Concat(at.failed, during.failed) {
			b.Log(why)
		}

		began := time.Now()
		o.must(b, second, "rollback")
		b.ReportMetric(time.Since(began).Seconds(), "rollback-s")

		text, err := os.ReadFile(o.site())
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(o.site(), append(text, thirdHost...), 0o600); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		o.must(b, o.program, "add", "m3")
		status, _, body, err := testenv.Fetch(b.Context(), o.client, "http://"+m3.Address+"/photos/u3")
		if err != nil || status != http.StatusOK {
			b.Fatalf("the first page of m3: %d %v %s", status, err, body)
		}
		b.ReportMetric(time.Since(began).Seconds(), "add-s")
	}
}

// p99 is what 99% of the visits took at most, in milliseconds.
func (v *visits) p99() float64 {
	slices.Sort(v.took)
	return float64(v.took[len(v.took)*99/100].Microseconds()) / 1000
}

// BenchmarkFailover measures how long changes are not taken when PostgreSQL's primary loses its process, hands over to
// another host, or loses its machine, and what visitors and changes notice. Run it with -benchtime 1x, on a machine
// that does nothing else.
func BenchmarkFailover(b *testing.B) {
	for b.Loop() {
		o := newOperator(b)
		o.moveDatabase(b, withDatabase)
		m2 := o.hosts[1]
		visits, changes := o.visit(b, 100, m2), o.change(b, m2, soon)
		changes.await(b)

		lost := o.inStep(b)
		began := time.Now()
		o.on(lost, killPostmaster)
		changes.await(b)
		b.ReportMetric(changes.pauseSince(began).Seconds(), "writes-back-s")
		was := o.inStep(b)

		began = time.Now()
		refused := changes.refused()
		if out := o.on(was, handOver); strings.Contains(out, "exit status") {
			b.Fatal(out)
		}
		changes.await(b)
		b.ReportMetric(changes.pauseSince(began).Seconds(), "switchover-s")
		b.ReportMetric(float64(changes.refused()-refused), "switchover-failed")
		o.primary(b, was)
		lost = o.inStep(b)
		began = time.Now()
		if err := lost.Kill(b.Context()); err != nil {
			b.Fatal(err)
		}
		changes.await(b)
		b.ReportMetric(changes.pauseSince(began).Seconds(), "machine-lost-s")
		visits.end()
		gone, twice := changes.lost(b, o)
		b.ReportMetric(float64(len(changes.titles)), "changes")
		b.ReportMetric(float64(gone), "lost")
		b.ReportMetric(float64(twice), "versions-twice")
		b.ReportMetric(float64(len(visits.took)), "pages")
		b.ReportMetric(float64(len(visits.failed)), "failed-pages")
		for _, why := range visits.failed {
			b.Log(why)
		}
	}
}

// handOver makes a replica the primary.
const handOver = `patronictl -c /etc/killr/credentials/postgres/patroni switchover killr --force`

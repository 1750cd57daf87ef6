//go:build linux

package deploy_test

import (
	"net/http"
	"os"
	"slices"
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

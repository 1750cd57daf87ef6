package histogram

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

// of is a histogram of values with exemplars: of one above all bounds the library makes a bucket up to +Inf.
func of(upper []float64, values ...float64) Histogram {
	metric := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "seconds", Buckets: upper})
	for _, v := range values {
		metric.(prometheus.ExemplarObserver).ObserveWithExemplar(v, prometheus.Labels{"request": "r"})
	}
	return Of(metric)
}

func TestPercentilesOfSeveralInstances(t *testing.T) {
	t.Parallel()
	upper := []float64{.001, .01, .1, 1}
	fast, slow := of(upper, .0005, .0005, .005, .005), of(upper, .05, .5, .5, 7)
	both := fast.Plus(slow)
	if both.Count() != 8 || !slices.Equal(both.Counts, []uint64{2, 2, 1, 2, 1}) {
		t.Fatalf("together: %+v", both)
	}
	for q, want := range map[float64]float64{.25: .001, .5: .01, .625: .1, .875: 1, .99: 1} {
		if got := both.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %g = %g, want %g", q, got, want)
		}
	}
	if later := both.Since(fast); !slices.Equal(later.Counts, slow.Counts) {
		t.Errorf("without the fast ones: %+v, want %+v", later, slow)
	}
	if again := fast.Since(both); again.Count() != fast.Count() {
		t.Errorf("an instance that started anew has %d values, want all %d", again.Count(), fast.Count())
	}
	var read Histogram
	if data, err := json.Marshal(both); err != nil || json.Unmarshal(data, &read) != nil ||
		!slices.Equal(read.Counts, both.Counts) {
		t.Errorf("%s became %+v (%v)", data, read, err)
	}
	if (Histogram{}).Quantile(.5) != 0 || (Histogram{}).Plus(fast).Count() != 4 {
		t.Error("the zero value is no empty histogram")
	}
	if (Histogram{Upper: []float64{1}, Counts: []uint64{1}}).Valid() || !both.Valid() || !(Histogram{}).Valid() {
		t.Error("Valid is wrong")
	}
}

func TestOtherBuckets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bounds := rapid.SliceOfNDistinct(rapid.Float64Range(0, 10), 1, 5, rapid.ID)
		draw := func(name string) Histogram {
			upper := slices.Clone(bounds.Draw(t, name))
			slices.Sort(upper)
			return of(upper, rapid.SliceOf(rapid.Float64Range(0, 20)).Draw(t, name+" values")...)
		}
		a, b := draw("a"), draw("b")
		sum := a.Plus(b)
		if !sum.Valid() || sum.Count() != a.Count()+b.Count() {
			t.Fatalf("%+v plus %+v is %+v", a, b, sum)
		}
		if q := sum.Quantile(.95); q < 0 || q > max(a.Upper[len(a.Upper)-1], b.Upper[len(b.Upper)-1]) {
			t.Fatalf("quantile %g of %+v", q, sum)
		}
	})
}

// Package histogram carries Prometheus histograms in answers to NATS micro's questions, and computes with them: those
// of several instances add up, and two of one instance give what was measured between them.
//
// **Input**: a metric of a role, or the JSON of one. **Output**: counts in buckets, and percentiles. **Must not
// touch**: the bus, registries.
//
// Percentiles of instances cannot be added up. Counts in the same buckets can, so this is what instances report.
package histogram

import (
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Histogram counts values in buckets. Its zero value has none.
type Histogram struct {
	Upper  []float64 `json:"le"` // upper bounds of the buckets, increasing, in the metric's unit
	Counts []uint64  `json:"n"`  // values in each bucket, and at the end those above all bounds
}

// Of reads a Prometheus histogram; of another metric, or one that cannot be read, the histogram is empty.
func Of(metric prometheus.Metric) Histogram {
	var m dto.Metric
	if err := metric.Write(&m); err != nil || m.Histogram == nil {
		return Histogram{}
	}
	var h Histogram
	below := uint64(0)
	for _, b := range m.Histogram.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) { // it is there when a value above all bounds has an exemplar
			continue
		}
		h.Upper = append(h.Upper, b.GetUpperBound())
		h.Counts = append(h.Counts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	h.Counts = append(h.Counts, m.Histogram.GetSampleCount()-below)
	return h
}

// Plus returns the values of both. While versions with other buckets run, a bound that only one has counts as well.
func (h Histogram) Plus(other Histogram) Histogram {
	if len(h.Counts) == 0 || len(other.Counts) == 0 {
		h.Upper = slices.Concat(h.Upper, other.Upper)
		h.Counts = slices.Concat(h.Counts, other.Counts)
		return h
	}
	upper := slices.Concat(h.Upper, other.Upper)
	slices.Sort(upper)
	sum := Histogram{Upper: slices.Compact(upper)}
	sum.Counts = make([]uint64, len(sum.Upper)+1)
	for _, part := range [...]Histogram{h, other} {
		for i, n := range part.Counts {
			at := len(sum.Upper)
			if i < len(part.Upper) {
				at, _ = slices.BinarySearch(sum.Upper, part.Upper[i])
			}
			sum.Counts[at] += n
		}
	}
	return sum
}

// Since returns the values that came after earlier. Where earlier has more, the instance has started anew, and all
// values of h came after it.
func (h Histogram) Since(earlier Histogram) Histogram {
	if !slices.Equal(h.Upper, earlier.Upper) || len(h.Counts) != len(earlier.Counts) {
		return h
	}
	diff := Histogram{Upper: h.Upper, Counts: make([]uint64, len(h.Counts))}
	for i, n := range h.Counts {
		if n < earlier.Counts[i] {
			return h
		}
		diff.Counts[i] = n - earlier.Counts[i]
	}
	return diff
}

// Valid reports whether h is a histogram. What came from the bus may be anything.
func (h Histogram) Valid() bool {
	return len(h.Upper) == 0 && len(h.Counts) == 0 || len(h.Counts) == len(h.Upper)+1 && slices.IsSorted(h.Upper)
}

// Count is how many values there are.
func (h Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile returns the value at q, 0 to 1, as Prometheus does: within a bucket values are taken to lie evenly. Above
// all bounds it is the last bound; of no values it is 0.
func (h Histogram) Quantile(q float64) float64 {
	all := h.Count()
	if all == 0 || len(h.Upper) == 0 {
		return 0
	}
	rank, below := q*float64(all), 0.0
	for i, upper := range h.Upper {
		n := float64(h.Counts[i])
		if n > 0 && below+n >= rank {
			lower := 0.0
			if i > 0 {
				lower = h.Upper[i-1]
			}
			return lower + (upper-lower)*(rank-below)/n
		}
		below += n
	}
	return h.Upper[len(h.Upper)-1]
}

package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics of an edge.
const (
	// A histogram: from the writing of a change, before its commit, until the edge learned of it.
	changeSeconds = "killr_edge_change_seconds"
	clockOffset   = "killr_edge_clock_offset_seconds" // cluster time, which changeSeconds uses, minus the machine's
)

// Notice is the time from the writing of a change, shortly before its commit, until an edge read it from the stream, by
// the edges' own metrics. Edges mostly know earlier of changes made by actions, by an early invalidation. It is counted
// once for each batch of changes and edge, for the oldest change of the batch.
type Notice struct {
	Spread     // upper bounds of the histogram buckets that the values are in
	Edges  int `json:"edges"` // whose metrics were read
	// How far the most delayed clock of an edge was behind the machine's; the times include it. 0 if unknown.
	Behind time.Duration `json:"clock_behind_ns"`
	Err    string        `json:"error,omitempty"` // why some edges are missing
}

func (n Notice) String() string {
	if n.N == 0 {
		return "unknown: " + cmp.Or(n.Err, "no edge has timed a change")
	}
	s := fmt.Sprintf(
		"p50 <= %.1f ms, p99 <= %.1f ms, max <= %.1f ms (of %d batches, from the oldest change of each)", ms(n.P50),
		ms(n.P99), ms(n.Max), n.N,
	)
	if n.Behind > 0 {
		s += fmt.Sprintf("; includes up to %.1f ms by which their clocks were behind", ms(n.Behind))
	}
	if n.Err != "" {
		s += "; not of all edges: " + n.Err
	}
	return s
}

// edgeMetrics are the metrics of an edge at one moment.
type edgeMetrics struct {
	changes *dto.Histogram
	offset  time.Duration
}

// readMetrics reads the metrics of each edge. Edges that do not answer, or have no such metrics, yield nil and an
// error.
func (a *audit) readMetrics(ctx context.Context) ([]*edgeMetrics, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if len(a.cfg.Metrics) == 0 {
		return nil, errors.New("no address of an edge's metrics was given")
	}
	all := make([]*edgeMetrics, len(a.cfg.Metrics))
	var errs []error
	for i, url := range a.cfg.Metrics {
		var err error
		if all[i], err = a.readEdge(ctx, url); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", url, err))
		}
	}
	return all, errors.Join(errs...)
}

func (a *audit) readEdge(ctx context.Context, url string) (*edgeMetrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(http.MaxBytesReader(nil, resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	changes, offset := families[changeSeconds].GetMetric(), families[clockOffset].GetMetric()
	if len(changes) != 1 || len(offset) != 1 {
		return nil, fmt.Errorf("has no %s, or no %s: is it an edge of this release?", changeSeconds, clockOffset)
	}
	return &edgeMetrics{changes[0].GetHistogram(), seconds(offset[0].GetGauge().GetValue())}, nil
}

// noticeBetween is what the edges have learned between two readings. Where edges and database are on one machine,
// cluster time is the machine's time. Then an offset of an edge's clock is an error of its estimate, at most the
// shortest delay of its last heartbeats, and is added.
func noticeBetween(before, after []*edgeMetrics, oneMachine bool, problem error) Notice {
	var n Notice
	type bucket struct {
		upTo  time.Duration
		count int64
	}
	var buckets []bucket
	for i, now := range after {
		if now == nil {
			continue
		}
		n.Edges++
		var behind time.Duration
		if oneMachine {
			behind = max(0, -now.offset)
		}
		n.Behind = max(n.Behind, behind)
		was := map[float64]uint64{}
		// else it began anew
		if i < len(before) && before[i] != nil && before[i].changes.GetSampleCount() <= now.changes.GetSampleCount() {
			for _, b := range before[i].changes.GetBucket() {
				was[b.GetUpperBound()] = b.GetCumulativeCount()
			}
		}
		counted := uint64(0)
		for _, b := range now.changes.GetBucket() {
			upTo := b.GetCumulativeCount() - was[b.GetUpperBound()]
			buckets = append(
				buckets, bucket{seconds(min(b.GetUpperBound(), hugeSeconds)) + behind, int64(upTo - counted)},
			)
			counted = upTo
		}
		n.N += int64(counted)
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.upTo, b.upTo) })
	sum := int64(0)
	for _, b := range buckets {
		if b.count == 0 {
			continue
		}
		if sum*2 < n.N {
			n.P50 = b.upTo
		}
		if sum*100 < n.N*99 {
			n.P99 = b.upTo
		}
		n.Max = b.upTo
		sum += b.count
	}
	if problem != nil {
		n.Err = problem.Error()
	}
	return n
}

// hugeSeconds stands for the bound of the last bucket, which is infinite.
const hugeSeconds = 3600

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

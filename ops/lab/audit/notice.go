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
	// a histogram: from the writing of a change, before its commit, to the edge's having learned it
	changeSeconds = "killr_edge_change_seconds"
	clockOffset   = "killr_edge_clock_offset_seconds" // cluster time, by which that is measured, minus the machine's
)

// Notice is how long it took from the writing of a change, shortly before its commit, until an edge had read of it in
// the stream, as the edges' own metrics tell. Of what an action has changed an edge mostly knew before that, by a hint.
// It is counted once for each batch of changes and edge, from the oldest change of the batch.
type Notice struct {
	Spread               // upper bounds: those of the buckets that the values are in
	Edges  int           `json:"edges"`           // that were asked
	Behind time.Duration `json:"clock_behind_ns"` // the most that an edge's clock was behind the machine's; it is in the spread. 0 where it cannot be known
	Err    string        `json:"error,omitempty"` // why it is not known of all edges
}

func (n Notice) String() string {
	if n.N == 0 {
		return "not known: " + cmp.Or(n.Err, "no edge has timed a change")
	}
	s := fmt.Sprintf(
		"p50 <= %.1f ms, p99 <= %.1f ms, max <= %.1f ms (of %d batches, from the oldest change of each)", ms(n.P50),
		ms(n.P99), ms(n.Max), n.N,
	)
	if n.Behind > 0 {
		s += fmt.Sprintf("; in it are the %.1f ms at most by which their clocks were behind", ms(n.Behind))
	}
	if n.Err != "" {
		s += "; not of all: " + n.Err
	}
	return s
}

// edgeMetrics is what an edge tells of itself at one moment.
type edgeMetrics struct {
	changes *dto.Histogram
	offset  time.Duration
}

// readMetrics asks each edge. Of one that does not answer, or does not tell, there is an error and a nil.
func (a *audit) readMetrics(ctx context.Context) ([]*edgeMetrics, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if len(a.cfg.Metrics) == 0 {
		return nil, errors.New("the address of no edge's metrics was given")
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
		return nil, fmt.Errorf("tells no %s, or no %s: is it an edge, and of this release?", changeSeconds, clockOffset)
	}
	return &edgeMetrics{changes[0].GetHistogram(), seconds(offset[0].GetGauge().GetValue())}, nil
}

// noticed is what the edges have learned between two readings. Where edges and database are on one machine, cluster
// time is the machine's time, and what an edge's clock says otherwise is by how much it is behind: as long as the
// quickest of its last ticks took.
func noticed(before, after []*edgeMetrics, oneMachine bool, problem error) Notice {
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

// hugeSeconds stands for the bound of a bucket that has none.
const hugeSeconds = 3600

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

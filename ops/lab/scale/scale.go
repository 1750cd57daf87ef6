package scale

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/rig"
)

// Config is the input of a run. URL, Pages and Renderer are required; the first step must be 1.
type Config struct {
	URL      string       // of an edge without an in-process cache, of a site with one renderer
	Pages    []bench.Page // of albums, more of them than visitors
	Renderer rig.Process  // starts one more

	Steps    []int         // numbers of renderers, increasing; none: 1, 2, 4, 8
	Visitors int           // per renderer; 0 is 12, three for each page that it makes at once
	Step     time.Duration // time per step; 0 is 10 s
	Logger   *slog.Logger  // nil: silent
	Progress func(bench.Progress)
}

// Step has the figures at one number of renderers.
type Step struct {
	Renderers int     `json:"renderers"`
	Pages     float64 `json:"pages_per_second"`
	Linear    float64 `json:"linear"` // pages per renderer, as a part of those of the first step
	P50       float64 `json:"p50"`    // ms
	P99       float64 `json:"p99"`
	Failed    int64   `json:"failed"`            // also while renderers joined
	Failure   string  `json:"failure,omitempty"` // the first
}

// Result is all steps.
type Result struct {
	Began time.Time `json:"began"`
	Delay float64   `json:"delay"` // of each query, ms; set by the caller
	Steps []Step    `json:"steps"`
}

// target is the least acceptable part of linear.
const target = 0.9

// Run adds renderers step by step and measures at each step. When ctx ends, it returns the steps so far.
func Run(ctx context.Context, cfg Config) (_ *Result, err error) {
	if len(cfg.Steps) == 0 {
		cfg.Steps = []int{1, 2, 4, 8}
	}
	cfg.Visitors, cfg.Step = cmp.Or(cfg.Visitors, 12), cmp.Or(cfg.Step, 10*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	res := &Result{Began: time.Now()}
	var added []*rig.Server
	defer func() {
		for _, s := range added {
			err = errors.Join(err, s.Stop())
		}
	}()
	for _, n := range cfg.Steps {
		cfg.Logger.Info("scaling", "renderers", n)
		joined, before, err := cfg.join(ctx, n, len(added)+1)
		added = append(added, joined...)
		if err != nil {
			return res, err
		}
		run, err := cfg.visit(ctx, n, cfg.Step)
		if err != nil {
			return res, err
		}
		res.add(n, run, before.Failures)
	}
	return res, nil
}

// join adds renderers until there are n, while as many visitors request pages as suit those that are there, and returns
// what they measured.
func (cfg *Config) join(ctx context.Context, n, there int) (added []*rig.Server, run *bench.Result, err error) {
	if n == there {
		return nil, &bench.Result{}, nil
	}
	visitors := there
	var visiting errgroup.Group
	visiting.Go(func() (err error) {
		run, err = cfg.visit(ctx, visitors, max(cfg.Step/3, time.Second))
		return err
	})
	for ; there < n && err == nil; there++ {
		var s *rig.Server
		if s, err = rig.Start(
			ctx,
			rig.Config{
				URL: cfg.URL, Probe: cfg.Pages[0].Path, Processes: []rig.Process{cfg.Renderer}, Logger: cfg.Logger,
			},
		); err == nil {
			added = append(added, s)
		}
	}
	err = errors.Join(err, visiting.Wait())
	return added, run, err
}

func (cfg *Config) visit(ctx context.Context, renderers int, d time.Duration) (*bench.Result, error) {
	run, err := bench.Run(ctx, bench.Config{Edges: []string{cfg.URL}, Pages: cfg.Pages,
		Visitors: renderers * cfg.Visitors, VisitPages: 1, PagesOnly: true,
		KeepConnections: true, Identity: true, Warmup: d / 5, Duration: d, Progress: cfg.Progress})
	if err == nil && run.Interrupted {
		err = context.Cause(ctx)
	}
	return run, err
}

func (res *Result) add(renderers int, run *bench.Result, before []bench.Failure) {
	times := run.Kind("page").Times
	s := Step{Renderers: renderers, Pages: run.PagesPerSecond, P50: times.P50, P99: times.P99}
	first := s
	if len(res.Steps) > 0 {
		first = res.Steps[0]
	}
	if first.Pages > 0 {
		s.Linear = s.Pages / first.Pages * float64(first.Renderers) / float64(renderers)
	}
	for _, f := range append(before, run.Failures...) {
		if s.Failed += f.Count; s.Failure == "" {
			s.Failure = f.Kind + ": " + f.Example
		}
	}
	res.Steps = append(res.Steps, s)
}

// WriteTable prints the result for a terminal.
func (res *Result) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(
		&b,
		"Album pages from an edge without an in-process cache; each query takes %g ms longer. Target: no failures, %.1f of linear.\n\n",
		res.Delay, target,
	)
	fmt.Fprintf(&b, "%9s %9s %9s %8s %8s %8s\n", "renderers", "pages/s", "linear", "p50 ms", "p99 ms", "failed")
	for _, s := range res.Steps {
		verdict := "met"
		if s.Linear < target || s.Failed > 0 {
			verdict = "missed"
		}
		fmt.Fprintf(
			&b, "%9d %9.0f %9.2f %8.1f %8.1f %8d  %s\n", s.Renderers, s.Pages, s.Linear, s.P50, s.P99, s.Failed,
			verdict,
		)
	}
	for _, s := range res.Steps {
		if s.Failed > 0 {
			fmt.Fprintf(&b, "Note: renderers %d: %d failed, such as: %s\n", s.Renderers, s.Failed, s.Failure)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

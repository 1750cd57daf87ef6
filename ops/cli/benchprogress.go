package cli

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"flickrkillr/ops/lab/bench"
)

// benchProgress shows the progress of a benchmark: a bar on a terminal, otherwise a line in the log every 5 s.
type benchProgress struct {
	log    *slog.Logger
	bars   *mpb.Progress // nil: no terminal
	bar    *mpb.Bar
	now    atomic.Pointer[bench.Progress] // what the bar shows
	logged time.Time
}

func newBenchProgress(w io.Writer, log *slog.Logger) *benchProgress {
	p := &benchProgress{log: log, logged: time.Now()}
	if terminal(w) {
		p.draw(w)
	}
	return p
}

// logProgress is for a command that runs several benchmarks and names them in the log: bars would overwrite its lines.
func (s *session) logProgress() func(bench.Progress) {
	return (&benchProgress{log: s.log, logged: time.Now()}).report
}

func (p *benchProgress) draw(w io.Writer) {
	p.now.Store(&bench.Progress{})
	p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(100), mpb.WithRefreshRate(200*time.Millisecond),
		mpb.WithAutoRefresh())
	p.bar = p.bars.AddBar(0,
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			if p.now.Load().Warming {
				return "warming up"
			}
			return "measuring"
		}, decor.WC{W: 12, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			at := p.now.Load()
			return fmt.Sprintf(" %.0f pages/s, %.0f requests/s, p99 %s, %d failed", at.Pages, at.Requests,
				at.P99.Round(10*time.Microsecond), at.Failures)
		})))
}

// report shows one state of the benchmark. Calls do not overlap.
func (p *benchProgress) report(at bench.Progress) {
	if p.bars != nil {
		p.now.Store(&at)
		p.bar.SetTotal(max(at.Total.Milliseconds(), 1), false)
		p.bar.SetCurrent(min(at.Elapsed, at.Total).Milliseconds())
		return
	}
	if time.Since(p.logged) < progressEvery {
		return
	}
	p.logged = time.Now()
	p.log.Info("benchmark", "warming", at.Warming, "elapsed", at.Elapsed.Round(time.Second), "of", at.Total,
		"pages_per_second", int(at.Pages), "requests_per_second", int(at.Requests), "p99", at.P99,
		"failed", at.Failures)
}

// end leaves the bar as it is and releases the terminal.
func (p *benchProgress) end() {
	if p.bars != nil {
		p.bars.Shutdown()
	}
}

package cli

import (
	"io"
	"log/slog"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"flickrkillr/ops/seed"
)

// progress shows the progress of seeding: bars on a terminal, otherwise a line in the log every 5 s.
type progress struct {
	log    *slog.Logger
	bars   *mpb.Progress // nil: no terminal
	bar    *mpb.Bar      // of the stage at hand
	stage  seed.Stage
	logged time.Time

	unlogged *seed.Progress // the state of the stage since then; nil: none
}

const progressEvery = 5 * time.Second

// newProgress shows bars on w if it is a terminal with a known width, and otherwise writes to log.
func newProgress(w io.Writer, log *slog.Logger) *progress {
	p := &progress{log: log}
	if terminal(w) {
		p.draw(w)
	}
	return p
}

func (p *progress) draw(w io.Writer) {
	p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond),
		mpb.WithAutoRefresh())
}

// report shows one state of the seeding. Calls do not overlap.
func (p *progress) report(at seed.Progress) {
	if p.bars == nil {
		p.write(at)
		return
	}
	if at.Stage != p.stage {
		p.finishBar()
		p.stage = at.Stage
		p.bar = p.bars.AddBar(0, // a total given here could not be corrected: it is an estimate
			mpb.PrependDecorators(decor.Name(string(at.Stage), decor.WC{W: 26, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 6})))
	}
	p.bar.SetTotal(max(at.Total, 1), false)
	p.bar.SetCurrent(at.Done)
}

// write logs the first and the last state of each stage, and one every progressEvery.
func (p *progress) write(at seed.Progress) {
	if at.Stage != p.stage {
		p.flush()
	}
	if at.Stage != p.stage || time.Since(p.logged) > progressEvery {
		p.log.Info(string(at.Stage), "done", at.Done, "of", at.Total)
		p.logged, p.unlogged = time.Now(), nil
	} else {
		p.unlogged = &at
	}
	p.stage = at.Stage
}

// flush logs the last state of the stage, unless it was logged.
func (p *progress) flush() {
	if p.unlogged != nil {
		p.log.Info(string(p.unlogged.Stage), "done", p.unlogged.Done, "of", p.unlogged.Total)
		p.unlogged = nil
	}
}

func (p *progress) finishBar() {
	if p.bar != nil {
		p.bar.SetTotal(-1, true) // what was done is all there was to do
	}
}

// end shows the last state. It leaves the bars as they are and releases the terminal.
func (p *progress) end(err error) {
	p.flush()
	if p.bars == nil {
		return
	}
	if err == nil {
		p.finishBar()
	}
	p.bars.Shutdown() // unlike Wait it does not wait for a bar that was left half-way
}

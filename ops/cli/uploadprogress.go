package cli

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// uploadProgress shows how far an upload is: a bar on a terminal, otherwise a line in the log every 5 s.
type uploadProgress struct {
	log   *slog.Logger
	files int
	bytes int64
	bars  *mpb.Progress // nil: no terminal
	bar   *mpb.Bar

	sent, done atomic.Int64 // bytes, files

	mu     sync.Mutex
	logged time.Time
}

func newUploadProgress(w io.Writer, log *slog.Logger, files int, size int64) *uploadProgress {
	p := &uploadProgress{log: log, files: files, bytes: size, logged: time.Now()}
	if terminal(w) {
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(100), mpb.WithRefreshRate(200*time.Millisecond),
			mpb.WithAutoRefresh())
		p.bar = p.bars.AddBar(max(size, 1), mpb.AppendDecorators(
			decor.CountersKibiByte("% .1f / % .1f"), decor.Any(func(decor.Statistics) string {
				return fmt.Sprintf(", %d of %d files", p.done.Load(), p.files)
			})))
	}
	return p
}

// at notes that n more bytes are at the edge.
func (p *uploadProgress) at(n int64) {
	sent := p.sent.Add(n)
	if p.bars != nil {
		p.bar.SetCurrent(sent)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.logged) >= progressEvery {
		p.logged = time.Now()
		p.log.Info("uploading", "files", p.done.Load(), "of", p.files, "bytes", sent, "bytes_of", p.bytes)
	}
}

// finished notes that a file is through, uploaded or not.
func (p *uploadProgress) finished() { p.done.Add(1) }

// end leaves the bar as it is and releases the terminal.
func (p *uploadProgress) end() {
	if p.bars != nil {
		p.bars.Shutdown()
	}
}

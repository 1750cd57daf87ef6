package cli

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A fault can make each answer a warning. So of one message and level, from warnings up, at most logBurst records are
// logged in logWindow, which the first of them begins; the end of the window says how many were left out.
const (
	logBurst  = 5
	logWindow = time.Second
)

// limitedHandler passes records on within the limits. Handlers derived from one another share them.
type limitedHandler struct {
	next   slog.Handler
	limits *logLimits
}

// logLimits counts records. It is safe for concurrent use.
type logLimits struct {
	mu      sync.Mutex
	windows map[logKey]*logCount
	closed  bool
}

type logKey struct {
	level   slog.Level
	message string
}

// logCount is the records of one message and level in one window.
type logCount struct {
	passed, leftOut int
	last            slog.Handler // of the last record left out
	end             *time.Timer
}

// limitLog wraps a handler. flush, called at the end of the program, says what has been left out in windows that have
// not ended; later records are not limited.
func limitLog(next slog.Handler) (limited slog.Handler, flush func()) {
	l := &logLimits{windows: map[logKey]*logCount{}}
	return &limitedHandler{next, l}, l.flush
}

func (h *limitedHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *limitedHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || h.limits.admit(logKey{r.Level, r.Message}, h.next) {
		return h.next.Handle(ctx, r)
	}
	return nil
}

func (h *limitedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limitedHandler{h.next.WithAttrs(attrs), h.limits}
}

func (h *limitedHandler) WithGroup(name string) slog.Handler {
	return &limitedHandler{h.next.WithGroup(name), h.limits}
}

// admit counts a record and reports whether it is to be logged. to is its handler.
func (l *logLimits) admit(key logKey, to slog.Handler) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return true
	}
	w := l.windows[key]
	if w == nil {
		w = &logCount{}
		w.end = time.AfterFunc(logWindow, func() { l.end(key, w) })
		l.windows[key] = w
	}
	if w.passed < logBurst {
		w.passed++
		return true
	}
	w.leftOut++
	w.last = to
	return false
}

// end ends a window, unless flush has.
func (l *logLimits) end(key logKey, w *logCount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.windows[key] == w {
		delete(l.windows, key)
		w.report(key)
	}
}

// report logs how many records were left out of a window that has ended. The limits are locked meanwhile, so that flush
// does not return before.
func (w *logCount) report(key logKey) {
	if w.leftOut == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), key.level, "log messages left out", 0)
	r.AddAttrs(slog.String("message", key.message), slog.Int("count", w.leftOut))
	_ = w.last.Handle(context.Background(), r) // there is nowhere else to say that the log cannot be written
}

func (l *logLimits) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, w := range l.windows {
		w.end.Stop()
		w.report(key)
	}
	l.windows, l.closed = nil, true
}

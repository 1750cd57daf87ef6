package stack

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// natsLog forwards the server's log to slog and keeps the last error, to report why a start failed.
type natsLog struct {
	logger *slog.Logger // nil: silent

	mu   sync.Mutex
	last string
}

// Its banner and start-up chatter.
func (l *natsLog) Noticef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }
func (l *natsLog) Warnf(format string, v ...any)   { l.log(slog.LevelWarn, format, v) }
func (l *natsLog) Debugf(string, ...any)           {}
func (l *natsLog) Tracef(string, ...any)           {}
func (l *natsLog) Errorf(format string, v ...any) {
	// Refusals come in thousands, as from `killr bus check`: of one message the log has a few a second.
	if strings.Contains(format, " Violation - ") && l.logger != nil {
		l.logger.Warn("nats: a client was refused", "err", fmt.Sprintf(format, v...))
		return
	}
	l.fail(format, v)
}
func (l *natsLog) Fatalf(format string, v ...any) { l.fail(format, v) } // an embedded server may not end the process

func (l *natsLog) fail(format string, v []any) {
	l.mu.Lock()
	l.last = fmt.Sprintf(format, v...)
	l.mu.Unlock()
	l.log(slog.LevelError, format, v)
}

func (l *natsLog) log(level slog.Level, format string, v []any) {
	if l.logger != nil {
		l.logger.Log(context.Background(), level, "nats: "+fmt.Sprintf(format, v...))
	}
}

func (l *natsLog) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return ""
	}
	return ": " + l.last
}

package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
)

// newLogger makes the process's logger, which limits repeated warnings and errors. format auto is pretty on a terminal,
// and lines of key=value elsewhere. The program calls flush at its end.
func newLogger(w io.Writer, level, format string) (log *slog.Logger, flush func(), err error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("--log-level: %w", err)
	}
	handler, flush := limitLog(newLogHandler(w, least, format))
	return slog.New(handler), flush, nil
}

func newLogHandler(w io.Writer, least slog.Level, format string) slog.Handler {
	if format == "auto" {
		format = "text"
		if terminal(w) {
			format = "pretty"
		}
	}
	switch format {
	case "pretty":
		return tint.NewTextHandler(
			w,
			&tint.Options{
				Level:      least,
				TimeFormat: time.TimeOnly,
				NoColor:    !terminal(w) || os.Getenv("NO_COLOR") != "",
			},
		)
	case "json":
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})
	default:
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: least})
	}
}

// terminal reports whether w is a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
)

// newLogger makes the process's logger. format auto is pretty on a terminal, and lines of key=value elsewhere.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	if format == "auto" {
		format = "text"
		if terminal(w) {
			format = "pretty"
		}
	}
	switch format {
	case "pretty":
		return slog.New(
			tint.NewTextHandler(
				w,
				&tint.Options{
					Level:      least,
					TimeFormat: time.TimeOnly,
					NoColor:    !terminal(w) || os.Getenv("NO_COLOR") != "",
				},
			),
		), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})), nil
	default:
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: least})), nil
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

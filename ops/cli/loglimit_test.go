package cli

import (
	"bytes"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// limitedLog is a logger with limits, what it wrote, and the end of the program.
func limitedLog(t *testing.T) (log *slog.Logger, out *bytes.Buffer, flush func()) {
	t.Helper()
	out = &bytes.Buffer{}
	log, flush, err := newLogger(out, "info", "text")
	if err != nil {
		t.Fatal(err)
	}
	return log, out, flush
}

var leftOut = regexp.MustCompile(`level=(\w+) msg="log messages left out" .*message=(\w+) count=(\d+)`)

// counted is how many records of each level and message out tells of: those logged and those left out.
func counted(t *testing.T, out string) (logged, all map[string]int) {
	t.Helper()
	logged, all = map[string]int{}, map[string]int{}
	message := regexp.MustCompile(`level=(\w+) msg=(\w+)( |$)`)
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if m := leftOut.FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[3])
			if err != nil {
				t.Fatal(err)
			}
			all[m[1]+" "+m[2]] += n
		} else if m := message.FindStringSubmatch(line); m != nil {
			logged[m[1]+" "+m[2]]++
			all[m[1]+" "+m[2]]++
		}
	}
	return logged, all
}

func TestLogIsLimited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write       func(log *slog.Logger)
		logged, all map[string]int
	}{
		"a flood in a moment": {
			func(log *slog.Logger) {
				for range 1000 {
					log.Warn("answer", "status", 503)
				}
			},
			map[string]int{"WARN answer": logBurst}, map[string]int{"WARN answer": 1000},
		},
		"a flood of three seconds": {
			func(log *slog.Logger) {
				for range 300 {
					log.Warn("answer")
					time.Sleep(10*time.Millisecond + 1)
				}
			},
			map[string]int{"WARN answer": 3 * logBurst}, map[string]int{"WARN answer": 300},
		},
		"few": {
			func(log *slog.Logger) {
				for range 30 {
					log.Error("answer")
					time.Sleep(logWindow / 2)
				}
			},
			map[string]int{"ERROR answer": 30}, map[string]int{"ERROR answer": 30},
		},
		"each message and level by itself, and no limit below warnings": {
			func(log *slog.Logger) {
				for range 20 {
					log.Warn("answer")
					log.Error("answer")
					log.With("edge", "edge-1").Warn("fill", "n", 1)
					log.Info("access")
				}
			},
			map[string]int{"WARN answer": logBurst, "ERROR answer": logBurst, "WARN fill": logBurst, "INFO access": 20},
			map[string]int{"WARN answer": 20, "ERROR answer": 20, "WARN fill": 20, "INFO access": 20},
		},
	} {
		for _, end := range []string{"the program goes on", "the program ends"} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					log, out, flush := limitedLog(t)
					c.write(log)
					if end == "the program ends" {
						flush()
					} else {
						time.Sleep(2 * logWindow)
					}
					synctest.Wait()
					said := out.String()
					logged, all := counted(t, said)
					for key, want := range c.all {
						if logged[key] != c.logged[key] || all[key] != want {
							t.Errorf("%s: %d logged of %d told of, want %d of %d", key, logged[key], all[key],
								c.logged[key], want)
						}
					}
					flush()
					if out.String() != said {
						t.Errorf("the end of the program says it again: %s", out.String()[len(said):])
					}
				})
			})
		}
	}
}

// What the handler of the last record adds, such as the renderer, is on the line that says how many were left out.
func TestLogLimitKeepsAttributes(t *testing.T) {
	t.Parallel()
	log, out, flush := limitedLog(t)
	for range logBurst + 1 {
		log.With("renderer", "r1").Warn("slow")
	}
	flush()
	if !strings.Contains(out.String(), `msg="log messages left out" renderer=r1 message=slow count=1`) {
		t.Error(out.String())
	}
	log.Warn("slow", "late", true)
	if !strings.HasSuffix(out.String(), "late=true\n") {
		t.Errorf("a record after the end is missing: %s", out)
	}
}

func TestLogLimitLosesNothing(t *testing.T) {
	t.Parallel()
	log, out, flush := limitedLog(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				log.Warn("answer")
			}
		})
	}
	flush() // while they log
	all.Wait()
	if _, all := counted(t, out.String()); all["WARN answer"] != 16000 {
		t.Errorf("%d records of 16000 are told of", all["WARN answer"])
	}
}

package lint

import (
	"bytes"
	"strings"
	"testing"
)

// Durations within a process are measured by the monotonic clock. A time that went through an integer has lost it: when
// the machine's clock is set back by an hour, what should follow it waits for an hour.
func TestNoWallClockForDurations(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"edge/freshness/tracker.go": "it compares both clocks: the monotonic one stands still with the machine",
	}
	sources(t, ".go", func(path string, content []byte) {
		role, _, _ := strings.Cut(path, "/")
		if role != "edge" && role != "renderer" && role != "cachefill" || strings.HasSuffix(path, "_test.go") ||
			allowed[path] != "" {
			return
		}
		for _, call := range []string{".UnixNano()", ".UnixMilli()", "time.Unix(0, "} {
			if bytes.Contains(content, []byte(call)) {
				t.Errorf("%s: %s: use schema/monotonic", path, call)
			}
		}
	})
}

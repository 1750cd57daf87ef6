package cli

import (
	"strings"
	"testing"
)

func TestRendererRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rendererRange{"2": {2, 2}, "0": {0, 0}, "2..8": {2, 8}, "3..3": {3, 3}} {
		var r rendererRange
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%q is %+v (%v), want %+v", text, r, err, want)
		}
		var again rendererRange
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("%q is written as %s", text, r)
		}
	}
	for text, says := range map[string]string{
		"": "neither", "two": "neither", "2..": "neither", "..8": "neither", "2..8..9": "neither", "-1": "at least 0",
		"0..4": "begins at 1", "8..2": "smaller number", "2..101": "at most 100", "101": "at most 100",
	} {
		var r rendererRange
		if err := r.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one with %q", text, err, says)
		}
	}
	status, _, stderr := killr(t.Context(), "up", "--renderers", "8..2")
	if status != 2 || !strings.Contains(stderr, "the smaller number comes first") {
		t.Errorf("up --renderers 8..2: status %d, %s", status, stderr)
	}
}

package audit

import "testing"

func TestCountsHaveTheirPlural(t *testing.T) {
	t.Parallel()
	if got := Count(0, "edge") + ", " + Count(1, "edge") + ", " + Count(2, "edge"); got != "0 edges, 1 edge, 2 edges" {
		t.Error(got)
	}
}

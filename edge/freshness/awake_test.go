package freshness

import (
	"testing"
	"time"

	"flickrkillr/schema/wire"
)

// TestAwake: a pause counts from when it ends, and at once, even before it is noticed.
func TestAwake(t *testing.T) {
	t.Parallel()
	tracker := New(&wire.Clock{})
	tracker.start = tracker.start.Add(-time.Hour)
	if got := tracker.Awake(); got < time.Hour {
		t.Errorf("a process that runs since an hour has been awake for %v", got)
	}
	now := time.Now()
	tracker.ranAt.Store(now.Add(-2 * maxPause).UnixNano())
	if got := tracker.Awake(); got != 0 {
		t.Errorf("during a pause the process is awake for %v", got)
	}
	tracker.runs(now.Add(-2*maxPause), now)
	if got := tracker.Awake(); got < 0 || got >= time.Hour {
		t.Errorf("after a pause the process is awake for %v", got)
	}
}

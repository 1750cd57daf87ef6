package renderer

import (
	"testing"

	"flickrkillr/schema/wire"
)

// TestChunksBeforeTheirHandler: as many chunks as may wait in the queue may also wait for the subscription's handler,
// while a renderer gets no processor. NATS's client drops what is beyond, and an edge then waits for 2 s.
func TestChunksBeforeTheirHandler(t *testing.T) {
	t.Parallel()
	found := false
	for _, sub := range newSite(t).start(t, nil).requests.all {
		if sub.Subject != wire.UploadPattern(wire.UploadChunk) {
			continue
		}
		found = true
		messages, bytes, err := sub.PendingLimits()
		if err != nil || bytes < chunkQueue*wire.MaxChunk || messages < chunkQueue {
			t.Errorf("%d messages and %d bytes may wait, %v", messages, bytes, err)
		}
	}
	if !found {
		t.Error("nobody listens for chunks")
	}
}

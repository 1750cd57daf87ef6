package renderer

import (
	"testing"

	"flickrkillr/schema/wire"
)

// TestChunkMemory: memory that was put back is used again, whole, and what is in use is nobody else's.
func TestChunkMemory(t *testing.T) {
	t.Parallel()
	var all chunkMemory
	var chunks [3][]byte
	for i := range chunks {
		chunk, err := all.get()
		if err != nil {
			t.Fatal(err)
		}
		chunks[i] = chunk
		for n := range chunk {
			chunk[n] = byte(i)
		}
	}
	for i, chunk := range chunks {
		if len(chunk) != wire.MaxChunk || chunk[0] != byte(i) || chunk[len(chunk)-1] != byte(i) {
			t.Errorf("chunk %d has %d bytes, and begins with %d", i, len(chunk), chunk[0])
		}
	}
	all.put(chunks[1][:7])
	again, err := all.get()
	if err != nil || len(again) != wire.MaxChunk || &again[0] != &chunks[1][0] {
		t.Errorf("%d bytes, %v: not those that were put back", len(again), err)
	}
	for _, chunk := range [][]byte{chunks[0], again, chunks[2]} {
		all.put(chunk)
	}
	if err := all.free(); err != nil || len(all.unused) != 0 {
		t.Errorf("free: %v, and %d are left", err, len(all.unused))
	}
}

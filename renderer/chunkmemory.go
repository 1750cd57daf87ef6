package renderer

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"flickrkillr/schema/wire"
)

// chunkMemory is memory for chunks that are read and sent. It is outside of the collector's heap, which grows by more
// than what is in use. It has as many chunks as were ever in use at once, no more than there are workers. The zero
// value has none.
type chunkMemory struct {
	mu     sync.Mutex
	unused [][]byte
}

// get returns memory of wire.MaxChunk bytes. What is in it is not known.
func (c *chunkMemory) get() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := len(c.unused) - 1; last >= 0 {
		chunk := c.unused[last]
		c.unused = c.unused[:last]
		return chunk, nil
	}
	chunk, err := syscall.Mmap(-1, 0, wire.MaxChunk, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("get memory for a chunk: %w", err)
	}
	return chunk, nil
}

// put takes back memory of get. The caller must not use it any more.
func (c *chunkMemory) put(chunk []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unused = append(c.unused, chunk[:wire.MaxChunk])
}

// free gives back to the system what is not in use.
func (c *chunkMemory) free() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, chunk := range c.unused {
		errs = append(errs, syscall.Munmap(chunk))
	}
	c.unused = nil
	return errors.Join(errs...)
}

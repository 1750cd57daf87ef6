package payload

import (
	"sync"
	"weak"
)

// buffer is memory for the bytes of a message.
type buffer [Most]byte

// buffers are buffers that are used again. Of those that nothing uses the collector takes what it finds, so that a
// process which has sent files keeps no memory for them. A [sync.Pool] has one more for each processor, and keeps them
// longer. The zero value has none. The methods may be called at once.
type buffers struct {
	mu     sync.Mutex
	unused []weak.Pointer[buffer]
}

// Get returns a buffer. What is in it is not known.
func (b *buffers) Get() *buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.unused) > 0 {
		last := len(b.unused) - 1
		buf := b.unused[last].Value()
		if b.unused = b.unused[:last]; buf != nil {
			return buf
		}
	}
	return new(buffer)
}

// Put takes back a buffer, which the caller must not use any more.
func (b *buffers) Put(buf *buffer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unused = append(b.unused, weak.Make(buf))
}

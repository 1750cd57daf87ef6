package upload

import (
	"context"
	"sync"

	"flickrkillr/schema/wire"
)

// idleBuffers is how many buffers that nobody needs are kept for the next uploads; others are freed.
const idleBuffers = 16

// buffers is the memory for chunks of all uploads of an edge, a fixed number of buffers of wire.MaxChunk bytes. An
// upload that has none is served before those that want another one, and all are served in turn. So each upload goes
// on, and a slow renderer slows the senders, whose connections are not read meanwhile.
type buffers struct {
	reclaim func() []byte // takes back a buffer that nobody waits for; nil: there is none

	mu     sync.Mutex
	unused int // buffers that may still be made
	idle   [][]byte
	first  []chan []byte // waits of uploads without a buffer, the oldest first
	more   []chan []byte // of others
}

func newBuffers(n int) *buffers { return &buffers{unused: n, reclaim: func() []byte { return nil }} }

// take waits for a buffer. first says that the upload has none yet.
func (b *buffers) take(ctx context.Context, first bool) ([]byte, error) {
	b.mu.Lock()
	if buf := b.available(); buf != nil {
		b.mu.Unlock()
		return buf, nil
	}
	queue := &b.more
	if first {
		queue = &b.first
	}
	wait := make(chan []byte, 1)
	*queue = append(*queue, wait)
	b.mu.Unlock()
	select {
	case buf := <-wait:
		return buf, nil
	case <-ctx.Done():
		b.leave(queue, wait)
		return nil, context.Cause(ctx)
	}
}

// available returns a buffer that is there, or nil. The lock is held.
func (b *buffers) available() []byte {
	switch n := len(b.idle); {
	case n > 0:
		buf := b.idle[n-1]
		b.idle[n-1] = nil
		b.idle = b.idle[:n-1]
		return buf
	case b.unused > 0:
		b.unused--
		return make([]byte, wire.MaxChunk)
	}
	return b.reclaim()
}

// leave ends a wait. A buffer that came at the same moment goes to the next upload.
func (b *buffers) leave(queue *[]chan []byte, wait chan []byte) {
	b.mu.Lock()
	for i, other := range *queue {
		if other == wait {
			*queue = append((*queue)[:i], (*queue)[i+1:]...)
			break
		}
	}
	b.mu.Unlock()
	select {
	case buf := <-wait:
		b.put(buf)
	default:
	}
}

// put gives a buffer back.
func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.give(buf)
}

// give passes a buffer to the next upload that waits. The lock is held.
func (b *buffers) give(buf []byte) {
	for _, queue := range []*[]chan []byte{&b.first, &b.more} {
		if len(*queue) > 0 {
			(*queue)[0] <- buf
			*queue = (*queue)[1:]
			return
		}
	}
	if len(b.idle) < idleBuffers {
		b.idle = append(b.idle, buf)
		return
	}
	b.unused++
}

// reclaimed passes what can be taken back to uploads that wait.
func (b *buffers) reclaimed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.first)+len(b.more) > 0 {
		buf := b.reclaim()
		if buf == nil {
			return
		}
		b.give(buf)
	}
}

// taken is how many buffers uploads have; n is how many there may be.
func (b *buffers) taken(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return n - b.unused - len(b.idle)
}

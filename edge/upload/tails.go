package upload

import (
	"slices"
	"sync"
)

// maxTails bounds the ends of bodies that are kept. Each has a buffer, which an upload that waits for one takes away.
const maxTails = 32

// tails keeps the end of a body that filled no chunk, for a sender who goes on at this edge. A sender who goes on at
// another one sends these bytes again. Without tails a program that sends less than a chunk at a time would get
// nowhere.
type tails struct {
	mu  sync.Mutex
	all []tail // the oldest first

	buffers *buffers
}

func newTails(b *buffers) *tails {
	t := &tails{buffers: b}
	b.reclaim = t.reclaim
	return t
}

// tail is the beginning of the chunk at an offset.
type tail struct {
	up   upload
	at   int64 // a multiple of wire.MaxChunk
	size int   // bytes of buf that are there
	buf  []byte
}

// keep takes over the buffer of a tail. It replaces the one that the upload has.
func (t *tails) keep(end tail) {
	t.mu.Lock()
	var former []byte
	if i := t.find(end.up); i >= 0 {
		former = t.all[i].buf
		t.all = slices.Delete(t.all, i, i+1)
	}
	t.all = append(t.all, end)
	most := len(t.all) > maxTails
	t.mu.Unlock()
	if former != nil {
		t.buffers.put(former)
	}
	if most {
		if buf := t.reclaim(); buf != nil {
			t.buffers.put(buf)
		}
	}
	t.buffers.reclaimed()
}

// sizeOf is how many bytes are kept behind the offset that a renderer has; 0 for none.
func (t *tails) sizeOf(up upload, at int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.find(up); i >= 0 && t.all[i].at == at {
		return int64(t.all[i].size)
	}
	return 0
}

// remove returns the tail of an upload, whose buffer is the caller's then. false: there is none.
func (t *tails) remove(up upload) (end tail, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(up)
	if i < 0 {
		return tail{}, false
	}
	end = t.all[i]
	t.all = slices.Delete(t.all, i, i+1)
	return end, true
}

// drop forgets the tail of an upload.
func (t *tails) drop(up upload) {
	if end, ok := t.remove(up); ok {
		t.buffers.put(end.buf)
	}
}

// reclaim returns the buffer of the oldest tail; nil if there is none.
func (t *tails) reclaim() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) == 0 {
		return nil
	}
	buf := t.all[0].buf
	t.all = slices.Delete(t.all, 0, 1)
	return buf
}

func (t *tails) find(up upload) int {
	return slices.IndexFunc(t.all, func(end tail) bool { return end.up == up })
}

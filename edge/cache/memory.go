package cache

import (
	"iter"
	"time"

	"github.com/maypok86/otter/v2"

	"flickrkillr/edge/freshness"
	"flickrkillr/schema/page"
)

const (
	defaultMemory  = 64 << 20 // bytes
	maxMemoryImage = 64 << 10 // bytes; larger pictures are not kept: a few would push out thousands of pages
)

// Memory is the in-process cache: the pages that this edge serves most, bounded in bytes. Its policy (W-TinyLFU) keeps
// what is requested often, so that a crawler that walks through every page once pushes nothing out.
type Memory struct {
	cache *otter.Cache[page.Ref, *Page] // nil: disabled
}

// NewMemory returns a cache of this size in bytes; 0: 64 MiB, negative: disabled. Close ends its goroutines.
func NewMemory(bytes int) *Memory {
	if bytes < 0 {
		return &Memory{}
	}
	if bytes == 0 {
		bytes = defaultMemory
	}
	return &Memory{otter.Must(&otter.Options[page.Ref, *Page]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ page.Ref, p *Page) uint32 { return p.weight() },
	})}
}

// Get returns the page of ref, fresh or not. It returns nil if the cache does not have it.
func (m *Memory) Get(ref page.Ref) *Page {
	if m.cache == nil {
		return nil
	}
	p, _ := m.cache.GetIfPresent(ref)
	return p
}

// Put stores a page, unless it may not be cached or the cache has a newer one. A page that seems to be from the future
// does not count as newer. now is cluster time.
func (m *Memory) Put(p *Page, now time.Time) {
	if m.cache == nil || p.Reply.MaxAge == 0 || p.Ref.Kind() == page.KindImage && len(p.Reply.Body) > maxMemoryImage {
		return
	}
	m.cache.Compute(p.Ref, func(old *Page, found bool) (*Page, otter.ComputeOp) {
		if found && old.Reply.ReadAt.After(p.Reply.ReadAt) && old.Reply.ReadAt.Before(now.Add(freshness.ClockSlip)) {
			return old, otter.CancelOp
		}
		if found && old != p {
			p.Usage.Hits.Add(old.Usage.Hits.Swap(0))
		}
		return p, otter.WriteOp
	})
}

// All returns every page, in any order. The cache does not count that as requests.
func (m *Memory) All() iter.Seq[*Page] {
	if m.cache == nil {
		return func(func(*Page) bool) {}
	}
	return m.cache.Values()
}

// Bytes is the size of the cache, in bytes.
func (m *Memory) Bytes() float64 {
	if m.cache == nil {
		return 0
	}
	return float64(m.cache.WeightedSize())
}

// Close ends the cache's goroutines.
func (m *Memory) Close() {
	if m.cache != nil {
		m.cache.StopAllGoroutines()
	}
}

package edge

import (
	"iter"
	"time"

	"flickrkillr/schema/page"

	"github.com/maypok86/otter/v2"
)

const (
	nearBytes    = 64 << 20 // default size of a near cache
	nearMaxImage = 64 << 10 // larger pictures are not kept: a few would push out thousands of pages
)

// nearCache holds the copies that this edge serves most, bounded in bytes. Its policy (W-TinyLFU) keeps what is asked for often, so that
// a crawler walking through every page once pushes nothing out.
type nearCache struct {
	cache *otter.Cache[page.Ref, *held] // nil: no near cache
}

func newNearCache(bytes int) *nearCache {
	if bytes < 0 {
		return &nearCache{}
	}
	if bytes == 0 {
		bytes = nearBytes
	}
	return &nearCache{otter.Must(&otter.Options[page.Ref, *held]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ page.Ref, c *held) uint32 { return c.weight() },
	})}
}

func (n *nearCache) get(ref page.Ref) *held {
	if n.cache == nil {
		return nil
	}
	c, _ := n.cache.GetIfPresent(ref)
	return c
}

// put keeps a copy, unless it may not be kept or the one there is newer, and not from the future.
func (n *nearCache) put(c *held, now time.Time) {
	if n.cache == nil || c.reply.MaxAge == 0 || c.ref.Kind() == page.KindImage && len(c.reply.Body) > nearMaxImage {
		return
	}
	n.cache.Compute(c.ref, func(old *held, found bool) (*held, otter.ComputeOp) {
		if found && old.reply.ReadAt.After(c.reply.ReadAt) && old.reply.ReadAt.Before(now.Add(clockSlip)) {
			return old, otter.CancelOp
		}
		if found && old != c {
			c.asked.Add(old.asked.Swap(0))
		}
		return c, otter.WriteOp
	})
}

// all gives every copy, in any order. To look at them is not to ask for them: the policy does not hear of it.
func (n *nearCache) all() iter.Seq[*held] {
	if n.cache == nil {
		return func(func(*held) bool) {}
	}
	return n.cache.Values()
}

func (n *nearCache) bytes() float64 {
	if n.cache == nil {
		return 0
	}
	return float64(n.cache.WeightedSize())
}

func (n *nearCache) close() {
	if n.cache != nil {
		n.cache.StopAllGoroutines()
	}
}

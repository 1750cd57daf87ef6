package freshness

import "flickrkillr/schema/wire"

// maxChain is how many batches a chain remembers. Relays send at most 300 a second, and refer to what was sent within
// the last 5 s.
const maxChain = 1 << 13

// chain is which batches of relays this edge knows. Each batch names the one before it. A batch that follows a known
// one is known as well: with it, this edge has missed none. The zero chain is empty. It is not safe for concurrent use.
type chain struct {
	known map[string]bool
	order []string // the same, a ring; next is the place of the oldest once it is full
	next  int

	// The chain begins with a batch that this edge can rely on. Until that is certain, no heartbeat counts.
	confirmed bool
	begun     int // how often a chain has begun
	// The last heartbeat that did not count yet: it named a batch that is not known, or the chain was not confirmed.
	early wire.Heartbeat
}

// begin forgets all batches but one.
func (c *chain) begin(batch string) {
	*c = chain{known: map[string]bool{}, begun: c.begun + 1, early: c.early}
	c.add(batch)
}

// has reports whether a batch is known. Of a relay of the previous release none has a name, and none ever is: a chain
// then begins with each heartbeat.
func (c *chain) has(batch string) bool { return batch != "" && c.known[batch] }

// follow adds a batch if the one before it is known, and reports whether it is new.
func (c *chain) follow(l wire.Link) bool {
	if c.has(l.Batch) || !c.has(l.After) {
		return false
	}
	c.add(l.Batch)
	return true
}

func (c *chain) add(batch string) {
	if len(c.order) < maxChain {
		c.order = append(c.order, batch)
	} else {
		delete(c.known, c.order[c.next])
		c.order[c.next] = batch
		c.next = (c.next + 1) % maxChain
	}
	c.known[batch] = true
}

// counts reports whether an edge that knows this chain may rely on a heartbeat. One that does not count yet is kept.
func (c *chain) counts(h wire.Heartbeat) bool {
	if c.confirmed && c.has(h.Last) {
		c.early = wire.Heartbeat{}
		return true
	}
	c.early = h
	return false
}

// due returns the heartbeat that was kept and counts now.
func (c *chain) due() (h wire.Heartbeat, ok bool) {
	if !c.confirmed || c.early.Time.IsZero() || !c.known[c.early.Last] {
		return h, false
	}
	h, c.early = c.early, wire.Heartbeat{}
	return h, true
}

// waits reports whether a heartbeat has come that does not count yet, or the beginning is not certain.
func (c *chain) waits() bool { return len(c.known) > 0 && !c.confirmed || !c.early.Time.IsZero() }

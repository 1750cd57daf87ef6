package edge

import (
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/freshness"
	"flickrkillr/schema/wire"
)

// oldestOfReplicas is how old a page of a replica may be. Renderers use none that is more than a second behind, unless
// the primary does not answer; clocks may differ by freshness.ClockSlip.
const oldestOfReplicas = time.Second + freshness.ClockSlip

// conditions say how new a page of a replica has to be. The zero conditions are met by any.
type conditions struct {
	readSince time.Time       // when it has to be read
	told      wire.Conditions // what renderers are told, as it does not follow from oldestOfReplicas
}

// met reports whether a page meets the conditions.
func (c conditions) met(p *cache.Page) bool {
	return !p.Reply.ReadAt.Before(c.readSince) && c.told.Met(p.Reply.ReadAt, p.Reply.Depends)
}

// conditions are those of a request that begins now: a page must not lack what this edge knows of, and must not be so
// old that it lacks what this edge may not have heard of. older is a page that changes have overtaken, nil if there is
// none: its scopes are those for which newer versions are known.
func (r *resolver) conditions(w want, older *cache.Page) conditions {
	now := time.Now()
	c := conditions{readSince: r.tracker.Clock().At(now).Add(-oldestOfReplicas)}
	if since := r.tracker.ReadSince(now); since.After(c.readSince) {
		c.readSince, c.told.ReadAt = since, since
	}
	c.told.Wants = w.atLeast
	if older == nil {
		return c
	}
	for i, d := range older.Basis.Deps {
		if d.Overtaken() {
			newer := wire.Dep{Scope: older.Reply.Depends[i].Scope, Version: d.Scope.Newest()}
			c.told = c.told.And(wire.Conditions{Wants: []wire.Dep{newer}})
		}
	}
	return c
}

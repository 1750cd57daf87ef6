package pool

import (
	"time"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/wire"
)

// pages is the pool of workers that makes pages. The others are for what is rarer, and have bounds of their own.
const pages = "pages"

// Load is what the renderers' page workers did in the time between two snapshots.
type Load struct {
	Renderers int           // that answered at its end
	Known     int           // of them, those of which it is known what they did
	Requests  uint64        // that workers took
	Wait95    time.Duration // for a worker, of 95% of them at most; 0 without requests
	Busy      uint64        // requests refused because too many waited
	// Used is the part of their time, 0 to 1, in which workers had work.
	Used float64
}

// Between returns the load in the time from one snapshot to a later one. What a renderer did that was there before and
// did not answer then is not known, so it counts for nothing.
func Between(from, to Snapshot) Load {
	before := map[string]discovery.PoolFigures{}
	for _, i := range from.Of(wire.RoleRenderer) {
		if i.Renderer != nil {
			before[i.ID] = i.Renderer.Pools[pages]
		}
	}
	var load Load
	var waits histogram.Histogram
	worked, workers := 0.0, 0
	for _, i := range to.Of(wire.RoleRenderer) {
		load.Renderers++
		if i.Renderer == nil {
			continue
		}
		now := i.Renderer.Pools[pages]
		was, known := before[i.ID]
		if !known && !i.Started.After(from.At) {
			continue
		}
		load.Known++
		waits = waits.Plus(now.QueueWait.Since(was.QueueWait))
		if now.Busy >= was.Busy {
			load.Busy += now.Busy - was.Busy
		}
		if now.Worked >= was.Worked {
			worked += now.Worked - was.Worked
		}
		workers += now.Workers
	}
	load.Requests = waits.Count()
	load.Wait95 = time.Duration(waits.Quantile(.95) * float64(time.Second))
	if took := to.At.Sub(from.At).Seconds(); took > 0 && workers > 0 {
		load.Used = min(worked/(took*float64(workers)), 1)
	}
	return load
}

package cachefill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/wire"
)

// Bounds of a replay.
const (
	replayRate = 400 // notes a second at most, unless said otherwise
	// seconds of what renderers do anyway: as many notes are sent as fast as that allows, then one for one; see load
	replayAhead = 20
	replayMost  = 4 * wire.MaxPopular // pages, the hottest; what is less in demand than these comes when somebody asks
	// notes at once: renderers answer what waits together by one query, which Postgres does for less
	replayBurst  = 16
	replayWindow = 4 * replayBurst // within so many notes, pages of a kind go together: only those share a query
	replayBound  = 2 * time.Second // for reading the popularity lists
)

// replay has an empty server filled: the assets, then the popular pages that belong there, most popular first. It
// publishes notes, so that all cachefills share the work, in bursts and no faster than rendererLoad allows: each note
// costs Postgres a page, in addition to the pages that visitors miss meanwhile.
func (f *Filler) replay(ctx context.Context, s *server) error {
	began := time.Now()
	if err := f.warmOnce(ctx); err != nil {
		return err // without a renderer, nothing can be filled
	}
	read, cancel := context.WithTimeout(ctx, replayBound)
	defer cancel()
	list, err := popularlist.All(read, f.cfg.NATS)
	if err != nil && !errors.Is(err, popularlist.ErrNone) {
		return err
	}
	list = slices.DeleteFunc(list[:min(len(list), replayMost)], func(hot wire.Popular) bool {
		addr, err := f.ring.PickServer(hot.Ref.Key())
		return err != nil || addr.String() != s.addr
	})
	for window := range slices.Chunk(list, replayWindow) {
		slices.SortStableFunc(window, func(a, b wire.Popular) int { return cmp.Compare(a.Ref.Kind(), b.Ref.Kind()) })
	}
	pace := f.load.pace(f.cfg.ReplayRate)
	most, steady := rate.NewLimiter(rate.Limit(f.cfg.ReplayRate), replayBurst),
		rate.NewLimiter(pace, max(replayBurst, int(replayAhead*pace)))
	for burst := range slices.Chunk(list, replayBurst) {
		for _, limit := range []*rate.Limiter{most, steady} {
			if err := limit.WaitN(ctx, len(burst)); err != nil {
				return err
			}
		}
		for _, hot := range burst {
			if err := f.cfg.NATS.PublishMsg(wire.Fill{Ref: hot.Ref}.Msg()); err != nil {
				return fmt.Errorf("replay: %w", err)
			}
			f.metrics.replayed.Inc()
		}
	}
	f.metrics.replays.Add(1)
	s.log.Info("replayed", "pages", len(list), "per_second", float64(pace), "took",
		time.Since(began).Round(time.Millisecond))
	return nil
}

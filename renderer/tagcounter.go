package renderer

import (
	"context"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/sleep"
)

// countEvery is how often the numbers of photos of tags are updated. Visitors see numbers older by that and by the
// age of the page.
const countEvery = time.Second

// countTags updates the numbers of photos of tags until ctx ends. Only the renderer with the active relay does so.
// What fails stays queued in the database.
func (s *Service) countTags(ctx context.Context) {
	failing := false
	for sleep.For(ctx, countEvery) {
		if !s.relay.active.Load() {
			continue
		}
		err := countAll(ctx, s.store)
		if ctx.Err() == nil && failing != (err != nil) { // log the start and the end, not every attempt
			failing = err != nil
			s.log.Warn("tag counts", "failing", failing, "err", err)
		}
	}
}

// countAll repeats CountTags until no delta waits.
func countAll(ctx context.Context, rows *store.Store) error {
	for {
		if n, err := rows.CountTags(ctx); n == 0 || err != nil {
			return err
		}
	}
}

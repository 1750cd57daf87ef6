package renderer

import (
	"context"
	"time"

	"flickrkillr/renderer/store"
)

// countEvery is how often the tags' numbers of photos are brought up to date. What a visitor sees is older by as much,
// and by the page's age.
const countEvery = time.Second

// countTags adds up what changed about the numbers of photos that tags have, until ctx ends: in the process that
// relays, so that one of all does it. What it fails at waits in the database.
func (s *Service) countTags(ctx context.Context) {
	failing := false
	for sleep(ctx, countEvery) {
		if !s.relay.active.Load() {
			continue
		}
		err := countAll(ctx, s.store)
		if ctx.Err() == nil && failing != (err != nil) { // said when it begins and when it ends, not every time
			failing = err != nil
			s.log.Warn("tag counts", "failing", failing, "err", err)
		}
	}
}

// countAll goes on until nothing waits.
func countAll(ctx context.Context, rows *store.Store) error {
	for {
		if n, err := rows.CountTags(ctx); n == 0 || err != nil {
			return err
		}
	}
}

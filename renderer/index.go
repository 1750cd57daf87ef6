package renderer

import (
	"context"
	"time"
)

// indexLimit bounds the work on the search index that is done at once.
const indexLimit = 3 * time.Second

// keepIndex keeps the search index up to date until ctx ends, and finishes the batch it is in, for which held is the context. The renderer
// that relays does it; a lock in Postgres lets one work at a time, also while two believe that they relay. What fails, because Postgres is
// away, is tried again for ever.
func (s *Service) keepIndex(ctx, held context.Context) {
	failing := false
	for pause := s.cfg.IndexPoll; sleep(ctx, pause); {
		if !s.relay.active.Load() { // another renderer indexes
			pause = s.cfg.IndexPoll
			continue
		}
		more, err := s.indexOnce(ctx, held)
		switch {
		case err != nil:
			pause = min(max(2*pause, s.cfg.IndexPoll), maxPause)
		case more:
			pause = time.Millisecond // for other users of the database
		default:
			pause = s.cfg.IndexPoll
		}
		if failing != (err != nil) && ctx.Err() == nil { // said when it begins and when it ends, not every time
			failing = err != nil
			s.log.Warn("search index", "failing", failing, "error", err)
		}
	}
}

// indexOnce brings a batch up to date, or builds the index if there is none yet. More may be waiting.
func (s *Service) indexOnce(ctx, held context.Context) (more bool, err error) {
	limited, cancel := context.WithTimeout(held, indexLimit)
	defer cancel()
	build, queued, err := s.store.SearchWaits(limited)
	switch {
	case err != nil:
		return false, err
	case build:
		return false, s.store.BuildSearch(ctx) // takes minutes: stopping does not wait for it
	case !queued:
		return false, nil
	}
	n, err := s.store.IndexOnce(limited)
	return n > 0, err
}

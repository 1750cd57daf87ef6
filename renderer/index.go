package renderer

import (
	"context"
	"log/slog"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/sleep"
)

// Bounds of the work on the search index.
const (
	// indexLimit is the time limit of a whole batch.
	indexLimit = 3 * time.Second
	// indexGoal is how long a batch should take. The batch after a slower one is smaller, because an action that hides
	// a photo of the batch waits for its end.
	indexGoal = 200 * time.Millisecond
	// indexTries is how often an entry of the queue fails alone before it is put behind the others.
	indexTries = 2
)

// indexer is the state of keepIndex between batches.
type indexer struct {
	size      int   // entries of the next batch
	failures  int   // in a row, with a size of 1
	postponed int64 // the entry that was last logged as put behind the others
	failing   bool  // the last log message said that batches fail
}

// keepIndex updates the search index until ctx ends, and then finishes the running batch, whose context is held. Only
// the renderer that relays does this. While two renderers believe that they relay, a lock in Postgres lets one work at
// a time. A batch that fails is retried at half the size, down to one entry of the queue. An entry that fails alone is
// retried after the other entries, without end.
func (s *Service) keepIndex(ctx, held context.Context) {
	x := indexer{size: store.IndexMost}
	for pause := s.cfg.IndexPoll; sleep.For(ctx, pause); {
		if !s.relay.active.Load() { // another renderer indexes
			pause = s.cfg.IndexPoll
			continue
		}
		more, err := s.indexOnce(ctx, held, &x)
		switch {
		case err != nil && x.failures > 0:
			pause = min(max(2*pause, s.cfg.IndexPoll), maxPause)
		case more:
			pause = time.Millisecond // for other users of the database
		default:
			pause = s.cfg.IndexPoll
		}
		if x.failing != (err != nil) && ctx.Err() == nil { // logged when failures begin and when they end
			x.failing = err != nil
			s.log.Warn("search index", "failing", x.failing, "err", err)
		}
	}
}

// indexOnce indexes a batch of the queue, or builds the index if there is none yet. more says that entries may be left
// in the queue.
func (s *Service) indexOnce(ctx, held context.Context, x *indexer) (more bool, err error) {
	limited, cancel := context.WithTimeout(held, indexLimit)
	defer cancel()
	build, queued, err := s.store.SearchWaits(limited)
	switch {
	case err != nil:
		x.failures++
		return false, err
	case build:
		return false, s.buildIndex(ctx, x)
	case !queued:
		x.failures = 0
		return false, nil
	}
	begun := time.Now()
	n, err := s.store.IndexOnce(limited, x.size)
	if !x.adapt(time.Since(begun), err) {
		return n > 0, err
	}
	limited, cancel = context.WithTimeout(held, indexLimit)
	defer cancel()
	kind, ref, postponeErr := s.store.PostponeIndexing(limited)
	if postponeErr == nil && ref != x.postponed {
		x.postponed = ref
		s.log.Error("search index: an entry keeps failing and is put behind the others",
			slog.String("kind", kind), slog.Int64("ref", ref), "err", err)
	}
	return false, err
}

// buildIndex builds the search index, in about a minute for a million photos. The end of ctx cuts it short.
func (s *Service) buildIndex(ctx context.Context, x *indexer) error {
	begun := time.Now()
	built, err := s.store.BuildSearch(ctx)
	if err != nil {
		x.failures++
		return err
	}
	if !built {
		return nil // another renderer builds it
	}
	s.log.Info("search index: built", "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// adapt sets the size of the next batch. It reports whether the first entry of the queue has failed alone indexTries
// times, so that it must be put behind the others.
func (x *indexer) adapt(took time.Duration, err error) (postpone bool) {
	switch {
	case err != nil && x.size == 1:
		x.failures++
		if postpone = x.failures >= indexTries; postpone {
			x.failures = 0
		}
		return postpone
	case err != nil || took > indexGoal:
		x.size = max(1, x.size/2)
	default:
		x.size = min(2*x.size, store.IndexMost)
	}
	x.failures = 0
	return false
}

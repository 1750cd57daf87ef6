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
	indexLimit = 3 * time.Second // a batch as a whole
	// After a batch that took longer than indexGoal the next is smaller: whoever hides a photo of the batch waits for its end.
	indexGoal = 200 * time.Millisecond
	// indexTries is how often an entry of the queue is tried alone before it is put behind the others.
	indexTries = 2
)

// indexer is what keepIndex remembers from batch to batch.
type indexer struct {
	size      int   // entries of the next batch
	failures  int   // in a row, with a size of 1
	postponed int64 // what was logged last as put behind the others
	failing   bool  // has been logged
}

// keepIndex keeps the search index up to date until ctx ends, and finishes the batch it is in, for which held is the context. The renderer
// that relays does it; a lock in Postgres lets one work at a time, also while two believe that they relay. What fails is tried again for
// ever: in batches of half the size, down to one entry of the queue, and then after the other entries.
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
		if x.failing != (err != nil) && ctx.Err() == nil { // said when it begins and when it ends, not every time
			x.failing = err != nil
			s.log.Warn("search index", "failing", x.failing, "err", err)
		}
	}
}

// indexOnce brings a batch up to date, or builds the index if there is none yet. More may be waiting.
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
		s.log.Error("search index: an entry fails again and again, others go first",
			slog.String("kind", kind), slog.Int64("ref", ref), "err", err)
	}
	return false, err
}

// buildIndex builds the search index, which takes about a minute a million photos: stopping does not wait for it.
func (s *Service) buildIndex(ctx context.Context, x *indexer) error {
	begun := time.Now()
	built, err := s.store.BuildSearch(ctx)
	if err != nil {
		x.failures++
		return err
	}
	if !built {
		return nil // another renderer is at it
	}
	s.log.Info("search index: built", "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// adapt sets the size of the next batch. It reports whether the first entry has failed alone so often that others shall go first.
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

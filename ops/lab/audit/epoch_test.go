package audit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestEpochs: what was announced once is known from then on, also when more was.
func TestEpochs(t *testing.T) {
	t.Parallel()
	a := newAudit(t)
	e := a.newEpochs()
	announce := func() (version int64) {
		if err := a.cfg.Pool.QueryRow(t.Context(), `SELECT announce_all()`).Scan(&version); err != nil {
			t.Fatal(err)
		}
		return version
	}
	first := announce()
	if !e.has(t.Context(), first) || e.has(t.Context(), first+1) {
		t.Error("the first one is not known, or the version after it is")
	}
	if second := announce(); !e.has(t.Context(), second) || !e.has(t.Context(), first) {
		t.Error("the second one is not known, or the first one no more")
	}
}

// TestEpochIsReadAgain: a primary that is gone says nothing, and the next one does.
func TestEpochIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := []error{errors.New("it is gone"), nil}
		e := &epochs{all: map[int64]bool{}, last: func(context.Context) (int64, error) {
			err := answers[0]
			answers = answers[1:]
			return 7, err
		}}
		for range 2 {
			if !e.has(t.Context(), 7) {
				t.Error("it is not known")
			}
		}
		if len(answers) > 0 {
			t.Error("it was not read again")
		}
	})
}

// TestEpochsBetween: one is known that another one followed before a page was checked that names it.
func TestEpochsBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Int64
		now.Store(6)
		e := &epochs{all: map[int64]bool{}, last: func(context.Context) (int64, error) { return now.Load(), nil }}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { e.run(ctx) })
		for ; now.Load() < 8; now.Add(1) {
			synctest.Wait()
			time.Sleep(epochEvery)
			synctest.Wait()
		}
		stop()
		running.Wait()
		if !e.has(ctx, 6) || !e.has(ctx, 7) || !e.has(ctx, 8) || e.announcements() != 2 {
			t.Errorf("known are %v, announcements %d", e.all, e.announcements())
		}
	})
}

// TestEpochsAfterTheEnd: when the audit has ended and the database is gone, it is asked once more for all answers.
func TestEpochsAfterTheEnd(t *testing.T) {
	t.Parallel()
	asked := 0
	e := &epochs{all: map[int64]bool{}, last: func(ctx context.Context) (int64, error) {
		asked++
		return 0, errors.Join(errors.New("it is gone"), ctx.Err())
	}}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for version := range int64(100) {
		if e.has(ctx, version) {
			t.Error("a version is known")
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestAnnouncementIsUnexpected: where no failover is expected, nobody announces that everything has changed.
func TestAnnouncementIsUnexpected(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.checker.announced = nil
	s.expect("label", s.answer(feedPage, 10*second, 1000, "9.0 8.0 7.0"))
}

// TestWritersGoOnWhileAnnouncementsAreRead: writers do not wait while the database is asked what it has announced.
func TestWritersGoOnWhileAnnouncementsAreRead(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.checker.announced = func(int64) bool {
		if !s.owner.mu.TryLock() {
			t.Error("the owner is locked")
			return true
		}
		s.owner.mu.Unlock()
		return true
	}
	s.expect("", s.answer(feedPage, 10*second, 1000, "9.0 8.0 7.0"))
}

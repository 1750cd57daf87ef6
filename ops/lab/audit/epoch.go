package audit

import (
	"context"
	"sync"
	"time"

	"flickrkillr/schema/sleep"
)

// epochs are the versions at which everything was announced to have changed, as a new primary of PostgreSQL does after
// a failover. Pages name the last one, unless a write has raised their owner above it.
type epochs struct {
	last func(context.Context) (int64, error) // reads the last one

	mu  sync.Mutex
	all map[int64]bool

	final sync.Once // read after the audit's end
}

func (a *audit) newEpochs() *epochs {
	return &epochs{all: map[int64]bool{}, last: func(ctx context.Context) (version int64, err error) {
		err = a.cfg.Pool.QueryRow(ctx, `SELECT version FROM epoch`).Scan(&version)
		return version, err
	}}
}

// Bounds of reading the last epoch, which a primary has that may be gone again.
const (
	epochEvery   = 200 * time.Millisecond
	epochTimeout = 5 * time.Second // of one try
	epochTries   = 6
)

// run reads the last one again and again until ctx ends, so that one is known also when another one follows it.
func (e *epochs) run(ctx context.Context) {
	for ctx.Err() == nil {
		e.read(ctx)
		sleep.For(ctx, epochEvery)
	}
}

// has reports whether a version is such a one. If it is not known, the last one is read, up to six times, which takes
// at most a minute. After ctx has ended that is done once, for all. The caller holds no lock that writers need.
func (e *epochs) has(ctx context.Context, version int64) bool {
	for try := 0; try < epochTries && ctx.Err() == nil && !e.knows(version); try++ {
		if e.read(ctx) {
			return e.knows(version)
		}
		sleep.For(ctx, epochTimeout)
	}
	if ctx.Err() != nil && !e.knows(version) {
		e.final.Do(func() { e.read(context.WithoutCancel(ctx)) })
	}
	return e.knows(version)
}

// read reads the last one and reports whether that was possible.
func (e *epochs) read(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, epochTimeout)
	defer cancel()
	last, err := e.last(ctx)
	if err != nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all[last] = true
	return true
}

func (e *epochs) knows(version int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[version]
}

// announcements is how many came after the first one, which was there before.
func (e *epochs) announcements() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return int64(max(0, len(e.all)-1))
}

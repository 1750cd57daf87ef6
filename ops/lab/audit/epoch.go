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
}

func (a *audit) newEpochs() *epochs {
	return &epochs{all: map[int64]bool{}, last: func(ctx context.Context) (version int64, err error) {
		err = a.cfg.Pool.QueryRow(ctx, `SELECT version FROM epoch`).Scan(&version)
		return version, err
	}}
}

// Bounds of reading the last epoch, which a primary has that may be gone again.
const (
	epochTimeout = 5 * time.Second // of one try
	epochTries   = 6
)

// has reports whether a version is such a one.
func (e *epochs) has(version int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for try := 0; !e.all[version] && try < epochTries; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), epochTimeout)
		last, err := e.last(ctx)
		if err != nil {
			sleep.For(ctx, epochTimeout)
		}
		cancel()
		if err == nil {
			e.all[last] = true
			break
		}
	}
	return e.all[version]
}

package upload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"flickrkillr/schema/wire"
)

// Bounds of waiting for memory.
const (
	fillsOfUser = 8                // buffers that one user's senders fill at the same time
	bufferWait  = 60 * time.Second // then the sender is told to come again; some programs give up after 2 minutes
)

// fillers bounds the buffers that one user fills. A slow sender needs more than a minute for one. Without the bound
// four people with slow lines would hold all buffers of an edge.
type fillers struct {
	mu  sync.Mutex
	all map[int64]*userFills
}

// userFills is the buffers of one user. It is there while a request needs it.
type userFills struct {
	slots chan struct{}
	users int // requests that wait or fill
}

func newFillers() *fillers { return &fillers{all: map[int64]*userFills{}} }

// enter waits until the user may fill one more buffer, for at most bufferWait. left ends that, and is called once.
// Errors: [wire.ErrBusy].
func (f *fillers) enter(ctx context.Context, user int64) (left func(), err error) {
	f.mu.Lock()
	fills := f.all[user]
	if fills == nil {
		fills = &userFills{slots: make(chan struct{}, fillsOfUser)}
		f.all[user] = fills
	}
	fills.users++
	f.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, bufferWait, errCrowded)
	defer cancel()
	select {
	case fills.slots <- struct{}{}:
		return func() {
			<-fills.slots
			f.leave(user, fills)
		}, nil
	case <-ctx.Done():
		f.leave(user, fills)
		return nil, context.Cause(ctx)
	}
}

func (f *fillers) leave(user int64, fills *userFills) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fills.users--; fills.users == 0 {
		delete(f.all, user)
	}
}

var errCrowded = fmt.Errorf("no memory for another chunk: %w", wire.ErrBusy)

// bufferOf waits until a user may fill a buffer, and for that. first says that the upload has none yet. filled says
// that it is full, and is called once. Errors: [wire.ErrBusy].
func (s *Service) bufferOf(ctx context.Context, user int64, first bool) (buf []byte, filled func(), err error) {
	filled, err = s.fillers.enter(ctx, user)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bufferWait, errCrowded)
	defer cancel()
	if buf, err = s.buffers.take(ctx, first); err != nil {
		filled()
		return nil, nil, err
	}
	return buf, filled, nil
}

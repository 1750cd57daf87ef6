package renderer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/wire"
)

// maxSharedForms is how many forms for others are remembered. Each takes about 1 KiB.
const maxSharedForms = 256

// sharedForms remembers which parts of originals others get, so that not each chunk has the whole file read.
type sharedForms struct {
	mu    sync.Mutex
	known map[string]*pictures.Shared
	// making holds one value while nobody reads a whole original, which takes up to 50 MiB.
	making chan struct{}
}

func newSharedForms() *sharedForms {
	s := &sharedForms{known: map[string]*pictures.Shared{}, making: make(chan struct{}, 1)}
	s.making <- struct{}{}
	return s
}

func (s *sharedForms) get(id string) *pictures.Shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[id]
}

// of returns the form for others of an original. One that cannot be made is a wire.ErrNotFound.
func (s *sharedForms) of(ctx context.Context, id string, original *pictures.Original) (*pictures.Shared, error) {
	if form := s.get(id); form != nil {
		return form, nil
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.making:
	}
	defer func() { s.making <- struct{}{} }()
	if form := s.get(id); form != nil {
		return form, nil
	}
	data := make([]byte, original.Size)
	if n, err := original.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("read an original: %w", err)
	}
	form, err := pictures.Share(ctx, data)
	if errors.Is(err, pictures.ErrNotShared) {
		err = fmt.Errorf("%w: %w", wire.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == maxSharedForms { // seldom: it is as good as any to begin anew
		clear(s.known)
	}
	s.known[id] = form
	return form, nil
}

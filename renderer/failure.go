package renderer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// toWireError wraps err in the error of schema/wire that a requester gets for it. An err that is none of them stays as
// it is, which means "internal".
func toWireError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", wire.ErrNotFound, err)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: %w", wire.ErrConflict, err)
	case errors.Is(err, store.ErrBeingRemoved):
		return fmt.Errorf("%w: %w", wire.ErrBusy, err)
	case store.IsUnavailable(err), errors.Is(err, pictures.ErrUnavailable):
		return fmt.Errorf("%w: %w", wire.ErrUnavailable, err)
	}
	return err
}

// unlessAbandoned returns err, or ErrAbandoned if ctx ended because nobody waits for the answer.
func unlessAbandoned(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), wire.ErrAbandoned) {
		return wire.ErrAbandoned
	}
	return err
}

func isUnavailable(err error) bool { return errors.Is(err, wire.ErrUnavailable) }

// panicError is a recovered panic.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// contained runs f and turns a panic into an error, so that one bad request costs one reply and no worker.
func contained(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, string(debug.Stack())}
		}
	}()
	return f()
}

func isPanic(err error) bool { return stackOf(err) != "" }

// stackOf returns the stack of the panic in err, "" if err is no panic.
func stackOf(err error) string {
	var p *panicError
	if errors.As(err, &p) {
		return p.stack
	}
	return ""
}

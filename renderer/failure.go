package renderer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

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
	case store.IsUnavailable(err):
		return fmt.Errorf("%w: %w", wire.ErrUnavailable, err)
	}
	return err
}

// unlessAbandoned is err, or says that the work was cut short because nobody waited for it.
func unlessAbandoned(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), wire.ErrAbandoned) {
		return wire.ErrAbandoned
	}
	return err
}

func isUnavailable(err error) bool { return errors.Is(err, wire.ErrUnavailable) }

// panicError is a panic that was contained.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// contained runs f and turns its panic into an error, so that one poisonous request costs one reply and no worker.
func contained(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, string(debug.Stack())}
		}
	}()
	return f()
}

func isPanic(err error) bool { return stackOf(err) != "" }

// stackOf gives the stack of the panic that err says, "" when it says none.
func stackOf(err error) string {
	var p *panicError
	if errors.As(err, &p) {
		return p.stack
	}
	return ""
}

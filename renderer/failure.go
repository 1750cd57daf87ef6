package renderer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// transient reports whether err is that of a server which is going, gone or coming back, so that another connection may soon do better.
func transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "53300": // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections
			return true
		}
		return strings.HasPrefix(pg.Code, "08") // connection_exception
	}
	var network *net.OpError
	return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) &&
		(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
			errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) ||
			errors.As(err, &network) || pgconn.SafeToRetry(err))
}

// judge says which of the errors that cross the bus err is.
func judge(err error) error {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", wire.ErrNotFound, err)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: %w", wire.ErrConflict, err)
	case transient(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", wire.ErrUnavailable, err)
	case errors.As(err, &pg) && (pg.Code == "57014" || pg.Code == "55P03" || pg.Code == "25P03" || strings.HasPrefix(pg.Code, "53") ||
		strings.HasPrefix(pg.Code, "40")):
		// query_canceled by a statement timeout, lock_not_available, idle_in_transaction_session_timeout, insufficient_resources,
		// transaction_rollback: a deadlock or a serialization failure
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

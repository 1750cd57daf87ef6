package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// IsTransient reports whether err means that a connection ended or that the server is starting, stopping, unreachable,
// full or a standby: another connection may soon succeed. A statement or a context that ran out of time is not
// transient.
func IsTransient(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "57P01", "57P02", "57P03", // admin_shutdown, crash_shutdown, cannot_connect_now
			tooManyConnections:
			return true
		case "08P01": // protocol_violation: a mistake of a client or server, which a retry repeats
			return false
		}
		return strings.HasPrefix(pg.Code, "08") // connection_exception
	}
	if errors.Is(err, ErrStandby) { // of several hosts some may have timed out
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	for _, lost := range [...]error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNREFUSED,
		syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, lost) {
			return true
		}
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || pgconn.SafeToRetry(err)
}

// IsUnavailable reports whether err says something about the state of Postgres and not about the request: it is
// transient, or time or a resource ran out, or another transaction was in the way.
func IsUnavailable(err error) bool {
	if IsTransient(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pg.Code {
	case "57014", lockNotAvailable, "25P03": // query_canceled, idle_in_transaction_session_timeout
		return true
	}
	// insufficient_resources, transaction_rollback
	return strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "40")
}

// IsFull reports whether a statement failed because the database's disk is full. Reads go on, but for those that need
// room to sort.
func IsFull(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "53100" // disk_full
}

// tooManyConnections is the code of an error by which Postgres refuses a connection at once.
const tooManyConnections = "53300"

// isRetryableRead reports whether a read that failed with err is run again here: after a transient error, but not while
// Postgres is full. The caller waits for that, because it measures for how long Postgres has been away, and another
// renderer may have a connection.
func isRetryableRead(err error) bool { return !IsOutOfConnections(err) && IsTransient(err) }

// IsOutOfConnections reports whether Postgres refused a connection because the server, the user or the database may
// have no more.
func IsOutOfConnections(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == tooManyConnections
}

// isRetryable reports whether an idempotent transaction that failed with err is run again here: after what makes a read
// run again, or when the transaction lost against another one.
func isRetryable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "40001", "40P01", // serialization_failure, deadlock_detected
			"57014": // statement timeout: the transaction that held the lock may have ended
			return true
		}
	}
	return isRetryableRead(err)
}

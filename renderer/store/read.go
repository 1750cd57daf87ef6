package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// How long a read and an action go on asking a Postgres that is not there, where the context has no earlier deadline, and the waits between.
const (
	readPatience   = 5 * time.Second
	actionPatience = 15 * time.Second
	firstWait      = 5 * time.Millisecond
	longWait       = 100 * time.Millisecond
)

// read runs one statement and collects its rows. A read can be repeated without harm, so it is, until the context's deadline, when
// Postgres went away while it ran or is just coming back. Op names the operation in errors.
func read[T any](ctx context.Context, s *Store, op string, collect func(pgx.Rows) (T, error), sql string, args ...any) (T, error) {
	return again(ctx, readPatience, op, comesBack, func(ctx context.Context) (T, error) { return readOnce(ctx, s, collect, sql, args) })
}

// again makes attempts until one succeeds or fails for a reason that is not transient, for at most patience and until ctx's deadline. The
// error is the last attempt's.
func again[T any](ctx context.Context, patience time.Duration, op string, transient func(error) bool, attempt func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		result, err := attempt(ctx)
		if err == nil {
			return result, nil
		}
		if !transient(err) {
			return result, fmt.Errorf("%s: %w", op, err)
		}
		select {
		case <-ctx.Done():
			return result, fmt.Errorf("%s: %w", op, err)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

func readOnce[T any](ctx context.Context, s *Store, collect func(pgx.Rows) (T, error), sql string, args []any) (T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	defer rows.Close()
	return collect(rows)
}

// comesBack reports whether err says that Postgres is away for a moment: this connection or this server ended, others may do.
func comesBack(err error) bool {
	if pgError := (*pgconn.PgError)(nil); errors.As(err, &pgError) {
		switch pgError.Code {
		case "57P01", "57P02", "57P03": // admin shutdown, crash shutdown, cannot connect now
			return true
		}
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE)
}

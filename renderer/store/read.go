package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of retrying while Postgres is away.
const (
	readLimit   = 5 * time.Second  // for all attempts of a read, for callers without a deadline
	actionLimit = 15 * time.Second // likewise of an action
	minBackoff  = 5 * time.Millisecond
	maxBackoff  = 100 * time.Millisecond
)

// read runs one statement and collects its rows. It retries while Postgres restarts, until the context's deadline. op
// names the operation in errors.
func read[T any](
	ctx context.Context, s *Store, op string, collect func(pgx.Rows) (T, error), sql string, args ...any,
) (T, error) {
	return withRetry(ctx, s, readLimit, op, isRetryableRead, func(ctx context.Context) (T, error) {
		return readOnce(ctx, s, collect, sql, args)
	})
}

// withRetry makes attempts until one succeeds, fails with an error that retryable refuses, or limit or ctx ends. It
// returns the error of the last attempt. It reports the error of each attempt that it repeats.
func withRetry[T any](
	ctx context.Context, s *Store, limit time.Duration, op string, retryable func(error) bool,
	attempt func(context.Context) (T, error),
) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		result, err := attempt(ctx)
		if err == nil {
			return result, nil
		}
		if s.once || !retryable(err) {
			return result, fmt.Errorf("%s: %w", op, err)
		}
		s.report(err)
		select {
		case <-ctx.Done():
			return result, fmt.Errorf("%s: %w", op, err)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

func readOnce[T any](
	ctx context.Context, s *Store, collect func(pgx.Rows) (T, error), sql string, args []any,
) (T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	defer rows.Close()
	return collect(rows)
}

package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors of actions.
var (
	ErrNotFound = errors.New("no such row")
	ErrConflict = errors.New("the key was used for another request")
)

// once has a function of the database do an action, one of those in schema/migrations/006_actions_at_once.sql, and remember under key that
// it was done and what it changed: one statement, and so one transaction and one round trip, which leaves no lock to a process that is
// frozen. An action whose key is known is not done again: what it changed the first time is returned, or ErrConflict if that was another
// action or had other arguments. Of two that come with one key at the same time, one waits for the other. What fails is not remembered.
//
// The key makes it safe to repeat the whole when Postgres went away or chose it as a deadlock's victim, until the context's deadline: also
// when a connection was lost between the commit and the answer, so that nobody knows whether it was done. The repetition knows.
//
// Name and arguments make the request's fingerprint, sql has it as $2, after the key and before its own.
func (s *Store) once(ctx context.Context, key, name string, arguments []any, sql string, own ...any) ([]Change, error) {
	request, err := fingerprint(name, arguments)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	own = append([]any{key, request}, own...)
	return again(ctx, actionPatience, name, repeatable, func(ctx context.Context) ([]Change, error) {
		var outcome string
		var scopes []string
		var versions []int64
		var gone []bool
		if err := s.pool.QueryRow(ctx, sql, own...).Scan(&outcome, &scopes, &versions, &gone); err != nil {
			return nil, err
		}
		switch outcome {
		case "not found":
			return nil, ErrNotFound
		case "conflict":
			return nil, ErrConflict
		}
		changes := make([]Change, len(scopes))
		for i := range changes {
			changes[i] = Change{scopes[i], versions[i], gone[i]}
		}
		return changes, nil
	})
}

// fingerprint tells requests apart. It must be the same in the next release: a rolling deploy may come between two attempts.
func fingerprint(name string, arguments []any) ([]byte, error) {
	text, err := json.Marshal([]any{name, arguments})
	if err != nil {
		return nil, fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// repeatable reports whether another attempt at a transaction that failed with err may do better.
func repeatable(err error) bool {
	if pgError := (*pgconn.PgError)(nil); errors.As(err, &pgError) {
		switch pgError.Code {
		case "40001", "40P01", // serialization failure, deadlock
			"57014": // statement timeout: whoever held the lock may be done now
			return true
		}
	}
	return comesBack(err) || pgconn.SafeToRetry(err)
}

// ForgetKeys deletes keys that are older than age, the oldest first, at most 1,000 of them. It passes over those that another process is
// deleting, and returns how many it deleted.
func (s *Store) ForgetKeys(ctx context.Context, age time.Duration) (int, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM action_keys WHERE key = ANY (ARRAY(
			SELECT k.key FROM action_keys k WHERE k.at < now() - $1::interval ORDER BY k.at LIMIT 1000 FOR UPDATE SKIP LOCKED))`, age)
	if err != nil {
		return 0, fmt.Errorf("forget keys: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

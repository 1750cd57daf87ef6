package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Errors of actions.
var (
	ErrNotFound = errors.New("no such row")
	ErrConflict = errors.New("the key was used for another request")
)

// idempotent calls a function of the database that makes a change once for each key: one statement, so one transaction
// and one round trip. The functions are in schema/migrations, from file 006 on. They store under the key what was
// changed. For a known key they change nothing and return the stored changes, or the outcome "conflict" if the key
// belongs to another action or other arguments. Of two concurrent calls with one key, one waits for the other. A failed
// call stores nothing.
//
// The key makes it safe to retry until the context's deadline when Postgres went away or ended the transaction as a
// deadlock's victim. That includes a connection lost between commit and answer, when the outcome is unknown: the retry
// reads it from the database.
//
// name and arguments make the request's fingerprint. The parameters of sql are the key, the fingerprint, and own.
func (s *Store) idempotent(
	ctx context.Context, key, name string, arguments []any, sql string, own ...any,
) ([]Change, error) {
	request, err := fingerprint(name, arguments)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	own = append([]any{key, request}, own...)
	return withRetry(ctx, s, actionLimit, name, isRetryable, func(ctx context.Context) ([]Change, error) {
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
		case "taken":
			return nil, ErrTaken
		case "changed":
			return nil, ErrChanged
		case "used":
			return nil, ErrUsed
		case "too many":
			return nil, ErrTooMany
		case "copied":
			return nil, ErrCopied
		case "no parent":
			return nil, ErrNoParent
		case "too deep":
			return nil, ErrTooDeep
		case "hidden":
			return nil, ErrHidden
		case "full":
			return nil, ErrFull
		case "too long":
			return nil, ErrLongTitle
		}
		changes := make([]Change, len(scopes))
		for i := range changes {
			changes[i] = Change{scopes[i], versions[i], gone[i]}
		}
		return changes, nil
	})
}

// fingerprint identifies a request. It must be the same in the next release: a rolling deploy may come between two
// attempts.
func fingerprint(name string, arguments []any) ([]byte, error) {
	text, err := json.Marshal([]any{name, arguments})
	if err != nil {
		return nil, fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// ForgetKeys deletes keys older than age, the oldest first, at most 1,000, and returns how many. It skips keys that
// another process is deleting.
func (s *Store) ForgetKeys(ctx context.Context, age time.Duration) (int, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM action_keys WHERE key = ANY (ARRAY(
			SELECT k.key FROM action_keys k WHERE k.at < now() - $1::interval ORDER BY k.at
				LIMIT 1000 FOR UPDATE SKIP LOCKED))`, age)
	if err != nil {
		return 0, fmt.Errorf("forget keys: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

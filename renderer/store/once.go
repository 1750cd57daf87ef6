package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Errors of actions.
var (
	ErrNotFound = errors.New("no such row")
	ErrConflict = errors.New("the key was used for another request")
)

// errForgotten: a key was there and is not any more, since it has just grown too old.
var errForgotten = errors.New("the key was forgotten while it was asked for")

// known turns "no rows" into the error that callers know.
func known(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// once does the action of this name, and remembers under key that it was done and what it changed, in one transaction. An action whose key is known is
// not done again: what it changed the first time is returned, or ErrConflict if that was another action or had other arguments. Of two that
// come with one key at the same time, one waits for the other. What fails is not remembered.
//
// The key makes it safe to repeat the whole when Postgres went away or chose it as a deadlock's victim, until the context's deadline: also
// when a connection was lost between COMMIT and its answer, so that nobody knows whether it was done. The repetition knows.
func (s *Store) once(
	ctx context.Context, key, name string, arguments []any, do func(context.Context, pgx.Tx) ([]Change, error),
) ([]Change, error) {
	request, err := fingerprint(name, arguments)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return again(ctx, actionPatience, name, repeatable, func(ctx context.Context) (changes []Change, err error) {
		// Read committed: whoever has waited for a key must see what the other did.
		err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
			var claimed bool
			if changes, claimed, err = claim(ctx, tx, key, request); err != nil || !claimed {
				return err
			}
			if changes, err = do(ctx, tx); err != nil {
				return err
			}
			return remember(ctx, tx, key, changes)
		})
		return changes, err
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

// claim makes key this transaction's, or returns what was changed under it before.
func claim(ctx context.Context, tx pgx.Tx, key string, request []byte) (changes []Change, claimed bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO action_keys (key, request) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, key, request)
	if err != nil || tag.RowsAffected() == 1 {
		return nil, err == nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT k.request = $2, c.scope, c.version, c.gone
		FROM action_keys k, unnest(k.scopes, k.versions, k.gone) AS c (scope, version, gone) WHERE k.key = $1`, key, request)
	if err != nil {
		return nil, false, err
	}
	var c Change
	same := true
	_, err = pgx.ForEachRow(rows, []any{&same, &c.Scope, &c.Version, &c.Gone}, func() error {
		changes = append(changes, c)
		return nil
	})
	switch {
	case err != nil:
		return nil, false, err
	case len(changes) == 0:
		return nil, false, errForgotten
	case !same:
		return nil, false, ErrConflict
	}
	return changes, false, nil
}

// remember notes under a key that this transaction has claimed what it changed.
func remember(ctx context.Context, tx pgx.Tx, key string, changes []Change) error {
	scopes, versions, gone := make([]string, len(changes)), make([]int64, len(changes)), make([]bool, len(changes))
	for i, c := range changes {
		scopes[i], versions[i], gone[i] = c.Scope, c.Version, c.Gone
	}
	if _, err := tx.Exec(ctx, `UPDATE action_keys SET scopes = $2, versions = $3, gone = $4 WHERE key = $1`, key, scopes, versions, gone); err != nil {
		return fmt.Errorf("remember the key: %w", err)
	}
	return nil
}

// repeatable reports whether another attempt at a transaction that failed with err may do better.
func repeatable(err error) bool {
	if pgError := (*pgconn.PgError)(nil); errors.As(err, &pgError) {
		switch pgError.Code {
		case "40001", "40P01", // serialization failure, deadlock
			"57014", // statement timeout: whoever held the lock may be done now
			"25P03": // idle in transaction: this process was frozen meanwhile
			return true
		}
	}
	return comesBack(err) || errors.Is(err, errForgotten) || pgconn.SafeToRetry(err)
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

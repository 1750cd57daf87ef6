package seed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/password"
)

// TemporaryPrefix begins the names of temporary accounts.
const TemporaryPrefix = "killrbench-"

// AddTemporary adds n accounts with one password that nobody else knows. So hashing takes as long as for one account,
// and a sign-in takes as long as any. remove removes them, with their sessions' right to count.
func AddTemporary(ctx context.Context, pool *pgxpool.Pool, n int) (
	added []Account, remove func(context.Context) error, err error,
) {
	run, secret := strings.ToLower(rand.Text()[:12]), rand.Text()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s%s-%d", TemporaryPrefix, run, i))
		added = append(added, Account{names[i], secret})
	}
	remove = func(ctx context.Context) error {
		if _, err := pool.Exec(ctx, "DELETE FROM users WHERE name = ANY ($1)", names); err != nil {
			return fmt.Errorf("remove the accounts whose names begin with %s%s: %w", TemporaryPrefix, run, err)
		}
		return nil
	}
	_, err = pool.Exec(ctx, `WITH added AS (INSERT INTO users (name, display_name)
			SELECT name, name FROM unnest($1::text[]) AS name RETURNING id)
		INSERT INTO accounts (user_id, password) SELECT id, $2 FROM added`, names, password.Hash(secret, "temporary "+run))
	if err != nil {
		err = errors.Join(fmt.Errorf("add temporary accounts: %w", err), remove(ctx))
	}
	return added, remove, err
}

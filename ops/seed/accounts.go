package seed

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/password"
)

// Account is a user of the demonstration data who can sign in.
type Account struct{ Name, Password string }

// accounts are those that Fill makes. They are public knowledge.
var accounts = []Account{
	{"ansel", "early and on foot"}, {"mallory", "every field an attack"}, {"quiet", "nothing posted yet"},
}

// hash is what is stored of the account's password, always the same.
func (a Account) hash() string { return password.Hash(a.Password, "demonstration "+a.Name) }

// addAccounts adds the accounts of those users who exist: a seeding of two users has two.
func addAccounts(ctx context.Context, tx pgx.Tx) error {
	for _, a := range accounts {
		_, err := tx.Exec(ctx, `INSERT INTO accounts (user_id, created_at, password_at, password)
			SELECT id, created_at, created_at, $2 FROM users WHERE name = $1`, a.Name, a.hash())
		if err != nil {
			return fmt.Errorf("add the account of %s: %w", a.Name, err)
		}
	}
	return nil
}

// Accounts returns the accounts that Fill has made and that still have the password it gave them.
func Accounts(ctx context.Context, pool *pgxpool.Pool) ([]Account, error) {
	var found []Account
	for _, a := range accounts {
		var is bool
		err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM accounts a JOIN users u ON u.id = a.user_id
			WHERE u.name = $1 AND a.password = $2 AND a.disabled_at IS NULL)`, a.Name, a.hash()).Scan(&is)
		if err != nil {
			return nil, fmt.Errorf("look for the demonstration accounts: %w", err)
		}
		if is {
			found = append(found, a)
		}
	}
	return found, nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Errors of the actions of people, besides those of all actions.
var (
	ErrTaken   = errors.New("the name is another user's")
	ErrChanged = errors.New("the password is no longer the one that was checked")
)

// Account is a user with what it takes to sign in.
type Account struct {
	User        int64
	Name        string
	DisplayName string
	Bio         string
	Password    string // a PHC string; "" for a user who has no account
	PasswordAt  time.Time
	// SessionsFrom is what sessions that begin now have as PasswordAt: a later time if the database was restored since.
	SessionsFrom time.Time
	Disabled     bool
	Codes        int    // recovery codes that were not used
	Rights       Rights // of new photos
}

const selectAccount = `
	SELECT u.id, u.name, u.display_name, u.bio, coalesce(a.password, ''), coalesce(a.password_at, u.created_at),
		sessions_from(coalesce(a.password_at, u.created_at)), a.disabled_at IS NOT NULL,
		(SELECT count(*) FROM recovery_codes c WHERE c.user_id = u.id), coalesce(a.licence, 'reserved'),
		coalesce(a.downloadable, false)
	FROM shown_users u LEFT JOIN accounts a ON a.user_id = u.id `

// AccountNamed reads the account of a name. It returns [ErrNotFound] for a name that no user has.
func (s *Store) AccountNamed(ctx context.Context, name string) (*Account, error) {
	return s.account(ctx, "read the account of a name", selectAccount+"WHERE u.name = $1", name)
}

// AccountOf reads the account of a user. It returns [ErrNotFound] if there is no such user.
func (s *Store) AccountOf(ctx context.Context, user int64) (*Account, error) {
	return s.account(ctx, "read an account", selectAccount+"WHERE u.id = $1", user)
}

func (s *Store) account(ctx context.Context, op, sql string, argument any) (*Account, error) {
	return read(ctx, s, op, func(rows pgx.Rows) (*Account, error) {
		a, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (*Account, error) {
			var a Account
			return &a, r.Scan(&a.User, &a.Name, &a.DisplayName, &a.Bio, &a.Password, &a.PasswordAt,
				&a.SessionsFrom, &a.Disabled, &a.Codes, &a.Rights.Licence, &a.Rights.Downloadable)
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNotFound
		}
		return a, err
	}, sql, argument)
}

// SignUp makes a user with an account and returns the scope of the new user. password is a PHC string that is the same
// at each repetition, codes are what is stored of recovery codes. email, which may be "", is not stored: an address
// counts once it is confirmed. But with another one it is another request. Errors: [ErrTaken], [ErrConflict].
func (s *Store) SignUp(ctx context.Context, key, name, password, email string, codes [][]byte) ([]Change, error) {
	arguments := []any{name, password}
	if email != "" {
		arguments = append(arguments, email)
	}
	return s.idempotent(ctx, key, "account.signup", arguments,
		`SELECT outcome, scopes, versions, gone FROM sign_up($1, $2, $3, $4, $5)`, name, password, codes)
}

// SetPassword replaces the password old, both PHC strings, and returns the current version of the user. It returns
// [ErrChanged] if the password is not old any more, or the account is closed.
func (s *Store) SetPassword(ctx context.Context, key string, user int64, old, password string) ([]Change, error) {
	return s.idempotent(ctx, key, "account.password", []any{user, password},
		`SELECT outcome, scopes, versions, gone FROM set_password($1, $2, $3, $4, $5)`, user, old, password)
}

// SetCodes replaces the recovery codes of a user, of which codes are what is stored. It returns the current version of
// the user, and [ErrChanged] if the password, a PHC string, is no longer the one that was checked.
func (s *Store) SetCodes(ctx context.Context, key string, user int64, password string, codes [][]byte,
) ([]Change, error) {
	return s.idempotent(ctx, key, "account.codes", []any{user, password},
		`SELECT outcome, scopes, versions, gone FROM set_codes($1, $2, $3, $4, $5)`, user, password, codes)
}

// Recover sets the password of a user and uses up a recovery code, of which code is what is stored. It returns the
// current version of the user, and [ErrNotFound] if the user has no such code.
func (s *Store) Recover(ctx context.Context, key string, user int64, code []byte, password string) ([]Change, error) {
	return s.idempotent(ctx, key, "account.recover", []any{user, fmt.Sprintf("%x", code), password},
		`SELECT outcome, scopes, versions, gone FROM recover_account($1, $2, $3, $4, $5)`, user, code, password)
}

// Profile is a change of what a user says about themselves. A nil field stays as it is.
type Profile struct {
	DisplayName *string `json:",omitempty"` // 1 to 100 characters
	Bio         *string `json:",omitempty"` // at most 2,000

	Rights RightsEdit `json:",omitzero"` // what others may do with photos that the user will upload
}

// EditProfile changes a user's profile and returns the user's scope. It returns [ErrNotFound] if there is no such user,
// or, for a change of the rights, no account.
func (s *Store) EditProfile(ctx context.Context, key string, user int64, edit Profile) ([]Change, error) {
	return s.idempotent(ctx, key, "profile.edit", []any{user, edit},
		`SELECT outcome, scopes, versions, gone FROM edit_profile($1, $2, $3, $4, $5, $6, $7)`,
		user, edit.DisplayName, edit.Bio, edit.Rights.Licence, edit.Rights.Downloadable)
}

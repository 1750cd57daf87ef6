package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Errors of the actions with passkeys, besides those of all actions.
var (
	ErrUsed    = errors.New("the challenge or link was used before")
	ErrTooMany = errors.New("there are as many as are allowed")
	ErrCopied  = errors.New("the count of signatures has not risen, so there may be a copy of the passkey")
)

// MaxPasskeys is how many passkeys a user may have.
const MaxPasskeys = 20

// Passkey is what signs a user in instead of a password.
type Passkey struct {
	ID         int64
	User       int64
	Credential []byte // its id, 1 to 1,023 bytes
	Host       string // of the site, for which it counts
	Label      string // 1 to 60 characters
	Count      int64  // of its signatures, as the authenticator said last; 0: it does not count
	Record     json.RawMessage
	Created    time.Time
	Used       *time.Time // nil: not yet
}

const selectPasskey = `
	SELECT p.id, p.user_id, p.credential, p.host, p.label, p.sign_count, p.record, p.created_at, p.used_at
	FROM passkeys p `

// Passkeys reads the passkeys of a user, the one that was added first in front.
func (s *Store) Passkeys(ctx context.Context, user int64) ([]Passkey, error) {
	return read(ctx, s, "read the passkeys of a user", func(rows pgx.Rows) ([]Passkey, error) {
		return pgx.CollectRows(rows, pgx.RowToStructByPos[Passkey])
	}, selectPasskey+`WHERE p.user_id = $1 ORDER BY p.user_id, p.id`, user)
}

// PasskeyOf reads the passkey with the id of a credential. It returns [ErrNotFound] if there is none.
func (s *Store) PasskeyOf(ctx context.Context, credential []byte) (*Passkey, error) {
	return read(ctx, s, "read a passkey", func(rows pgx.Rows) (*Passkey, error) {
		p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByPos[Passkey])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNotFound
		}
		return p, err
	}, selectPasskey+`WHERE p.credential = $1`, credential)
}

// AddPasskey adds a passkey, of which User, Credential, Host, Label, Count and Record count, in answer to a challenge
// of 16 to 64 bytes. passwordAt is when the password was set that the user has typed. It returns the current version of
// the user. Errors: [ErrChanged] if another password holds now, [ErrUsed] if the challenge was answered before,
// [ErrTaken] if the passkey was added before, [ErrTooMany], [ErrNotFound] for a closed account, [ErrConflict].
func (s *Store) AddPasskey(
	ctx context.Context, key string, passwordAt time.Time, challenge []byte, p Passkey,
) ([]Change, error) {
	return s.idempotent(ctx, key, "account.passkey.add", []any{p.User, p.Credential, p.Label, challenge},
		`SELECT outcome, scopes, versions, gone FROM add_passkey($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		p.User, passwordAt, challenge, p.Credential, p.Host, p.Label, p.Count, p.Record, MaxPasskeys)
}

// UsePasskey records that a passkey, of which ID, Count and Record count, has signed a challenge, and returns the
// current version of its user. Errors: [ErrUsed] if the challenge was answered before, [ErrCopied], [ErrNotFound] if
// the passkey was removed or the account is closed, [ErrConflict].
func (s *Store) UsePasskey(ctx context.Context, key string, challenge []byte, p Passkey) ([]Change, error) {
	return s.idempotent(ctx, key, "account.passkey.signin", []any{p.ID, challenge},
		`SELECT outcome, scopes, versions, gone FROM use_passkey($1, $2, $3, $4, $5, $6)`,
		p.ID, challenge, p.Count, p.Record)
}

// RenamePasskey gives a user's passkey another label. It returns [ErrNotFound] if the user has no such passkey.
func (s *Store) RenamePasskey(ctx context.Context, key string, user, id int64, label string) ([]Change, error) {
	return s.idempotent(ctx, key, "account.passkey.rename", []any{user, id, label},
		`SELECT outcome, scopes, versions, gone FROM rename_passkey($1, $2, $3, $4, $5)`, user, id, label)
}

// RemovePasskey removes a user's passkey. It returns [ErrNotFound] if the user has no such passkey.
func (s *Store) RemovePasskey(ctx context.Context, key string, user, id int64) ([]Change, error) {
	return s.idempotent(ctx, key, "account.passkey.remove", []any{user, id},
		`SELECT outcome, scopes, versions, gone FROM remove_passkey($1, $2, $3, $4)`, user, id)
}

// SiteKey reads the secret that all renderers of the site share, 32 bytes.
func (s *Store) SiteKey(ctx context.Context) ([]byte, error) {
	key, err := read(ctx, s, "read the key of the site", func(rows pgx.Rows) ([]byte, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	}, "SELECT key FROM site")
	if err == nil && len(key) != 32 {
		err = fmt.Errorf("the key of the site has %d bytes", len(key))
	}
	return key, err
}

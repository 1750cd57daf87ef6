package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What a mailed link is for.
const (
	LinkPassword = "password" // sets a new password
	LinkEmail    = "email"    // confirms an address
)

// maxLinks is how many valid links for one purpose a user may have, and so may an address: so many mails in half an
// hour.
const maxLinks = 3

// AccountByEmail reads the account that has a mail address, see mail.ParseAddress. It returns [ErrNotFound] if none
// has.
func (s *Store) AccountByEmail(ctx context.Context, email string) (*Account, error) {
	return s.account(ctx, "read the account of an address", selectAccount+"WHERE a.email = $1", email)
}

// EmailOf reads the mail address of a user; "" if they have none.
func (s *Store) EmailOf(ctx context.Context, user int64) (string, error) {
	return read(ctx, s, "read an address", func(rows pgx.Rows) (string, error) {
		email, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		if errors.Is(err, pgx.ErrNoRows) {
			return "", nil
		}
		return email, err
	}, "SELECT coalesce(email, '') FROM accounts WHERE user_id = $1", user)
}

// Link is a link that is to be mailed.
type Link struct {
	Token      []byte // SHA-256 of what the link has in it
	User       int64
	PasswordAt time.Time // when the password was set that held when the link was asked for
	Purpose    string
	Email      string // where it is mailed to
	Attempt    string // the key of the form that asked for it
}

// MakeLink stores a link, which is valid for half an hour. made is false for a repeated attempt, a closed account, a
// password that was set anew since, or three valid links of the user or to the address: then nothing may be mailed.
func (s *Store) MakeLink(ctx context.Context, l Link) (made bool, err error) {
	err = s.pool.QueryRow(ctx, "SELECT make_link($1, $2, $3, $4, $5, $6, $7)",
		l.Token, l.User, l.PasswordAt, l.Purpose, l.Email, l.Attempt, maxLinks).Scan(&made)
	if err != nil {
		return false, fmt.Errorf("make a link: %w", err)
	}
	return made, nil
}

// LinkTo is whose a link is, and where it was mailed to.
type LinkTo struct {
	User  int64
	Email string
}

// LinkOf reads a link for a purpose, whether it still counts or not. It returns [ErrNotFound] if there is no such link.
func (s *Store) LinkOf(ctx context.Context, token []byte, purpose string) (LinkTo, error) {
	return read(ctx, s, "read a link", func(rows pgx.Rows) (LinkTo, error) {
		link, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[LinkTo])
		if errors.Is(err, pgx.ErrNoRows) {
			return LinkTo{}, ErrNotFound
		}
		return link, err
	}, "SELECT user_id, email FROM mail_links WHERE token = $1 AND purpose = $2", token, purpose)
}

// ResetPassword sets the password of a link's user, a PHC string, and uses up the link. It returns the current version
// of the user, and [ErrNotFound] if the link counts no more.
func (s *Store) ResetPassword(ctx context.Context, key string, token []byte, password string) ([]Change, error) {
	return s.idempotent(ctx, key, "account.reset", []any{token, password},
		`SELECT outcome, scopes, versions, gone FROM reset_password($1, $2, $3, $4)`, token, password)
}

// ConfirmEmail gives a user the address that a link of theirs was mailed to, and uses up the link. Another account that
// had the address loses it. It returns the current version of the user, and [ErrNotFound] if the link counts no more,
// or is another user's.
func (s *Store) ConfirmEmail(ctx context.Context, key string, user int64, token []byte) ([]Change, error) {
	return s.idempotent(ctx, key, "account.confirm", []any{user, token},
		`SELECT outcome, scopes, versions, gone FROM confirm_email($1, $2, $3, $4)`, user, token)
}

// RemoveEmail takes the mail address from a user, and returns the current version of the user.
func (s *Store) RemoveEmail(ctx context.Context, key string, user int64) ([]Change, error) {
	return s.idempotent(ctx, key, "account.email", []any{user, ""},
		`SELECT outcome, scopes, versions, gone FROM remove_email($1, $2, $3)`, user)
}

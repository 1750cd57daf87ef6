package session

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"flickrkillr/schema/wire"
)

// tokenPrefix begins API tokens, so that people and programs that search for secrets know what they see. The rest is
// like the value of a cookie.
const tokenPrefix = "killr_"

// maxTokens is how many API tokens a user may have.
const maxTokens = 20

// ErrTooMany: a user has as many API tokens as a user may have.
var ErrTooMany = errors.New("there are 20 tokens already")

// BeginToken makes an API token for a user who is signed in, and returns it. It ends as the user's sessions do: with
// "Sign out everywhere", with a new password, and when it was not used for 30 days. Errors: [ErrTooMany],
// [ErrOvertaken].
func (s *Store) BeginToken(ctx context.Context, of Visitor, name string, write bool) (token string, err error) {
	kv, err := s.open()
	if err != nil {
		return "", err
	}
	has, err := s.Tokens(ctx, of.User)
	if err != nil {
		return "", err
	}
	if len(has) >= maxTokens {
		return "", ErrTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	before, _, err := revocationOf(ctx, kv, of.User)
	if err != nil {
		return "", err
	}
	token, k := newToken()
	session := wire.Session{ID: k.id(), User: of.User, Name: of.Name, PasswordAt: of.PasswordAt, Token: name,
		Write: write}
	if _, err := s.write(ctx, kv, before, &session); err != nil {
		return "", err
	}
	return tokenPrefix + token, nil
}

// Tokens returns the API tokens of a user, the one used last first.
func (s *Store) Tokens(ctx context.Context, user int64) ([]wire.Session, error) {
	return s.list(ctx, user, wire.TokenIndexKey(user, ""), maxTokens)
}

// EndToken ends an API token of a user; [ErrNone] if it is none of theirs.
func (s *Store) EndToken(ctx context.Context, user int64, id string) error {
	return s.endIndexed(ctx, id, wire.TokenIndexKey(user, id))
}

// Bearer returns the token in the header field Authorization. ok is false if there is no such field.
func Bearer(h http.Header) (token string, ok bool) {
	fields := h["Authorization"]
	if len(fields) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if len(fields) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

// FindToken is [Store.Find] for API tokens.
func (s *Store) FindToken(ctx context.Context, token string) (Visitor, error) {
	token, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return Visitor{}, ErrNone
	}
	v, _, err := s.Find(ctx, token)
	if err == nil && v.Token == "" { // the value of somebody's cookie
		return Visitor{}, ErrNone
	}
	return v, err
}

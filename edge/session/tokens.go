package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"net/http"
	"slices"
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

// BeginToken makes an API token of 256 secret bits for a user whose password was checked, and returns it. It ends as
// the user's sessions do: with "Sign out everywhere", with a new password, and when it was not used for 30 days. With
// the same secret it finds the token that it has made before. Errors: [ErrTooMany], [ErrOvertaken], wire.ErrConflict if
// the token with this secret has another name or other rights.
//
// Of any number of tokens that are made at once, those stay that came first into the index.
func (s *Store) BeginToken(ctx context.Context, a wire.Account, secret [sha256.Size]byte, name string, write bool) (
	token string, err error,
) {
	kv, err := s.open()
	if err != nil {
		return "", err
	}
	token, k := tokenOf(secret)
	session := wire.Session{ID: k.id(), User: a.User, Name: a.Name, PasswordAt: a.PasswordAt, Token: name, Write: write}
	has, err := s.valid(ctx, kv, a.User, wire.TokenIndexKey(a.User, ""), math.MaxInt)
	if err != nil {
		return "", err
	}
	if i := indexOf(has, session.ID); i >= 0 {
		if has[i].Token != name || has[i].Write != write {
			return "", wire.ErrConflict
		}
		return tokenPrefix + token, nil
	}
	if len(has) >= maxTokens {
		return "", ErrTooMany
	}
	asked, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	before, _, err := revocationOf(asked, kv, a.User)
	if err != nil {
		return "", err
	}
	if _, err := s.write(asked, kv, before, &session); err != nil {
		return "", err
	}
	if has, err = s.valid(ctx, kv, a.User, wire.TokenIndexKey(a.User, ""), math.MaxInt); err != nil {
		return "", err
	}
	if indexOf(has, session.ID) >= maxTokens {
		ending, cancel := context.WithTimeout(ctx, asking) // reading them all may have taken the rest of the time
		defer cancel()
		return "", errors.Join(ErrTooMany, s.end(ending, kv, session.ID, session.IndexKey()))
	}
	return tokenPrefix + token, nil
}

func indexOf(all []wire.Session, id string) int {
	return slices.IndexFunc(all, func(s wire.Session) bool { return s.ID == id })
}

// Tokens returns all API tokens of a user, the one used last first.
func (s *Store) Tokens(ctx context.Context, user int64) ([]wire.Session, error) {
	return s.list(ctx, user, wire.TokenIndexKey(user, ""), math.MaxInt)
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

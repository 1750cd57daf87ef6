package edge

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// API tokens are for programs: what they get is JSON. A token has no cookie, so no other site can make a browser send
// it, and its writes need no origin.

// maxTokenName is the longest name of a token, in characters.
const maxTokenName = 60

// refusal is an answer to a program whose request cannot be done.
type refusal struct {
	status    int
	Code      string `json:"error"`
	Problem   string `json:"problem"`
	challenge string // the header field WWW-Authenticate
}

func (e *refusal) Error() string { return e.Code + ": " + e.Problem }

var (
	errToken = &refusal{http.StatusUnauthorized, "invalid_token",
		"the token is wrong, or has ended: make a new one at " + page.PrivateTokens.Path(),
		`Bearer realm="Flickr Killr", error="invalid_token"`}
	errTokenKind = &refusal{http.StatusForbidden, "insufficient_scope",
		"no token may do this: sign in with a browser", ""}
	errTokenReads = &refusal{http.StatusForbidden, "insufficient_scope",
		"the token may only read: make one that may write", ""}
)

// forToken answers a request with an API token. All its answers are JSON.
func (s *Server) forToken(
	w http.ResponseWriter, r *http.Request, x *exchange, ref page.PrivateRef, signOut bool, token string,
) error {
	err := s.tryToken(w, r, x, ref, signOut, token)
	if err == nil || x.status != 0 {
		return err
	}
	answer, ok := errors.AsType[*refusal](err)
	if !ok {
		answer = &refusal{status: statusOf(err), Code: wire.Code(err), Problem: http.StatusText(statusOf(err))}
		if input, ok := errors.AsType[*wire.InputError](err); ok {
			answer.status, answer.Problem = http.StatusUnprocessableEntity, input.Error()
		}
		x.cause = err
	}
	return s.sendRefusal(w, r, x, answer)
}

// sendRefusal answers with a refusal.
func (s *Server) sendRefusal(w http.ResponseWriter, r *http.Request, x *exchange, answer *refusal) error {
	if answer.challenge != "" {
		w.Header().Set("WWW-Authenticate", answer.challenge)
	}
	if answer.status == http.StatusServiceUnavailable || answer.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter)
	}
	return s.sendJSON(w, r, x, answer, answer.status)
}

// tryToken does what a request with an API token asks for. If it returns an error it has written nothing.
func (s *Server) tryToken(
	w http.ResponseWriter, r *http.Request, x *exchange, ref page.PrivateRef, signOut bool, token string,
) error {
	found, err := s.sessions.FindToken(r.Context(), token)
	if errors.Is(err, session.ErrNone) {
		return errToken
	}
	if err != nil {
		return err
	}
	who, write := visitor{Visitor: found}, r.Method == http.MethodPost
	switch {
	case !write && (signOut || r.Method != http.MethodGet && r.Method != http.MethodHead):
		return errMethod
	case !write && hasBody(r):
		return errBody
	case write && who.Unverified:
		return wire.ErrUnavailable
	case signOut: // ends the token itself
		if err := s.sessions.SignOut(r.Context(), found); err != nil {
			return err
		}
		return s.sendJSON(w, r, x, struct{}{}, http.StatusOK)
	case !forPrograms(ref.Private):
		return errTokenKind
	case !write:
		return s.showJSON(w, r, x, ref, who)
	case !found.Write:
		return errTokenReads
	case ref.Private == page.PrivateMe:
		return errMethod
	}
	return s.submitJSON(w, r, x, ref, who)
}

// forPrograms reports whether programs may read a private page and send its form.
func forPrograms(kind page.Private) bool {
	switch kind {
	case page.PrivateMe, page.PrivateProfile, page.PrivateAlbums, page.PrivateAlbum,
		page.PrivatePhoto, page.PrivateBin, page.PrivatePhotoReceipt:
		return true
	}
	return false
}

// showJSON answers with what a private page shows.
func (s *Server) showJSON(
	w http.ResponseWriter, r *http.Request, x *exchange, ref page.PrivateRef, who visitor,
) error {
	data, err := wire.PrivateRequest{JSON: true, Values: valuesOf(ref, r.URL.Query())}.Encode()
	if err != nil {
		return err
	}
	reply, err := s.askFor(r.Context(), x, ref.Subject(), who, nats.Header{}, data, wire.PageDeadline)
	if err == nil {
		err = wire.ErrorOf(reply)
	}
	if errors.Is(err, wire.ErrNotFound) && !isAboutOne(ref.Private) { // there is no such user any more
		return errToken
	}
	if err != nil {
		return err
	}
	s.sendPrivate(w, r, x, reply.Data, typeJSON, http.StatusOK)
	return nil
}

// submitJSON does what a form asks for, whose key may be in the header field Idempotency-Key, too.
func (s *Server) submitJSON(
	w http.ResponseWriter, r *http.Request, x *exchange, ref page.PrivateRef, who visitor,
) error {
	form, key, err := s.readForm(w, r)
	if err != nil {
		return err
	}
	if id := idOf(ref); id != 0 {
		form.Set("id", strconv.FormatInt(id, 10))
	}
	if key == "" {
		key = strings.Trim(r.Header.Get("Idempotency-Key"), `"`)
	}
	if err := checkKey(key); err != nil {
		return &wire.InputError{Field: "key", Problem: "is missing: name the attempt by 16 to 64 characters, " +
			"in the form or in the header field Idempotency-Key"}
	}
	action, ok := actionOf(ref.Private, form)
	if !ok {
		return errMethod
	}
	reply, err := s.askFor(r.Context(), x, wire.ActionSubject(action), who, nats.Header{wire.HeaderKey: {key}},
		[]byte(form.Encode()), wire.ActionDeadline)
	if err == nil {
		err = wire.ErrorOf(reply)
	}
	if err != nil {
		return err
	}
	changed, err := wire.ChangedBy(reply)
	if err != nil {
		return err
	}
	s.setFresh(w, r, changed)
	return s.sendChanged(w, r, x, changed, reply.Header.Get(wire.HeaderReceipt))
}

// sendChanged answers a program whose form was done. receipt is the number of a receipt of photos; "": there is none.
func (s *Server) sendChanged(
	w http.ResponseWriter, r *http.Request, x *exchange, changed []wire.Change, receipt string,
) error {
	done := struct {
		Changed map[string]int64 `json:"changed"`           // versions by scope
		Receipt string           `json:"receipt,omitempty"` // its path
	}{Changed: map[string]int64{}}
	if receipt != "" {
		done.Receipt = photoReceiptPath(receipt)
	}
	for _, d := range changed {
		done.Changed[d.Scope] = d.Version
	}
	return s.sendJSON(w, r, x, done, http.StatusOK)
}

func (s *Server) sendJSON(w http.ResponseWriter, r *http.Request, x *exchange, v any, status int) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.sendPrivate(w, r, x, append(data, '\n'), typeJSON, status)
	return nil
}

// submitToken makes a token for somebody who is signed in with a browser, and shows it once; or ends one.
func (s *Server) submitToken(
	w http.ResponseWriter, r *http.Request, x *exchange, who visitor, form url.Values, key string,
) error {
	if id := form.Get("end"); id != "" {
		notice := wire.NoticeToken
		err := s.sessions.EndToken(r.Context(), who.User, id)
		if errors.Is(err, session.ErrNone) {
			notice = wire.NoticeNoSession
		} else if err != nil {
			return err
		}
		s.seeOther(w, x, page.PrivateTokens.Path()+"?"+url.Values{"notice": {notice}}.Encode())
		return nil
	}
	made, problem, err := s.makeToken(r.Context(), x, who, form, key)
	switch {
	case err != nil:
		return err
	case problem != nil && wantsJSON(r):
		return s.sendJSON(w, r, x, &refusal{Code: "bad_request", Problem: problem.Error()},
			http.StatusUnprocessableEntity)
	case problem != nil:
		ask := wire.PrivateRequest{Key: key, Problems: map[string]string{problem.Field: problem.Problem},
			Values: url.Values{"name": {form.Get("name")}, "access": {form.Get("access")}}}
		return s.show(w, r, x, page.PrivateTokens, who, ask, http.StatusUnprocessableEntity)
	case wantsJSON(r):
		return s.sendJSON(w, r, x, made, http.StatusOK)
	}
	return s.show(w, r, x, page.PrivateTokens, who, wire.PrivateRequest{Key: rand.Text(), Made: made}, http.StatusOK)
}

// makeToken makes a token, or says what is wrong with the form. A renderer checks the password. A form that is sent
// again finds the token that it has made, and makes it again if that has ended.
func (s *Server) makeToken(ctx context.Context, x *exchange, who visitor, form url.Values, key string) (
	*wire.MadeToken, *wire.InputError, error,
) {
	name, write := strings.TrimSpace(form.Get("name")), form.Get("access") == "write"
	if problem := checkTokenName(name); problem != "" {
		return nil, &wire.InputError{Field: "name", Problem: problem}, nil
	}
	reply, err := s.askFor(ctx, x, wire.ActionSubject(wire.ActionToken), who, nats.Header{wire.HeaderKey: {key}},
		[]byte(url.Values{"password": {form.Get("password")}}.Encode()), wire.ActionDeadline)
	if err == nil {
		err = wire.ErrorOf(reply)
	}
	if problem, ok := errors.AsType[*wire.InputError](err); ok {
		return nil, problem, nil
	}
	if err != nil {
		return nil, nil, err
	}
	account, err := wire.ParseAccount(reply.Header.Get(wire.HeaderAccount))
	if err != nil {
		return nil, nil, err
	}
	secret, err := s.tokenSecret(account.User, key)
	if err != nil {
		return nil, nil, err
	}
	token, err := s.sessions.BeginToken(ctx, account, secret, name, write)
	if errors.Is(err, session.ErrTooMany) {
		return nil, &wire.InputError{Field: "name", Problem: "cannot be used: you have 20 tokens, end one first"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return &wire.MadeToken{Token: token, Name: name, Write: write}, nil, nil
}

func checkTokenName(name string) string {
	switch {
	case name == "":
		return "is missing: say what the token is for"
	case utf8.RuneCountInString(name) > maxTokenName:
		return "is too long: use at most 60 characters"
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		return "has control characters or invisible ones: leave them out"
	case !wire.HasVisible(name):
		return "has invisible characters alone: say what the token is for"
	}
	return ""
}

// tokenSecret is what a token is made from: at every edge the same for one form, and known to nobody who does not have
// both the key of the form and the key that edges share.
func (s *Server) tokenSecret(user int64, key string) (secret [sha256.Size]byte, err error) {
	shared := s.tokens.Key()
	if shared == nil {
		return secret, fmt.Errorf("%w: the edge has no key yet", wire.ErrUnavailable)
	}
	mac := hmac.New(sha256.New, *shared)
	fmt.Fprintf(mac, "API token %d %s", user, key)
	mac.Sum(secret[:0])
	return secret, nil
}

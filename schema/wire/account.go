package wire

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Actions of people, see [ActionPhotoEdit] for how actions work. HeaderUser says whose password or profile is meant;
// the edge takes it from the session. Only edges may set it, which is what permissions of the bus are for.
//
// A reply to one of the first four has HeaderAccount, unless it repeats a sign-up, which signs nobody in. With
// HeaderAccept: page, what is wrong with the form is answered by the form's page with status 422, see [HeaderStatus],
// and a sign-up by the page with the recovery codes. No reply is remembered with a password or a code in it: a repeated
// sign-up computes its codes again, from the key and the password.
const (
	ActionSignUp      = "account.signup"   // name, password, next: the path that the form's page leads to, or nothing
	ActionSignIn      = "account.signin"   // likewise; changes nothing
	ActionRecover     = "account.recover"  // name, code, password: sets the password and uses up the code
	ActionPassword    = "account.password" // old, password
	ActionProfileEdit = "profile.edit"     // display, bio; licence, download: of new photos, as in ActionOwnEdit
	// password; sessions: how many the person has, for the receipt. The reply has HeaderReceipt. Without HeaderUser it
	// finds what was done before under the key.
	ActionDelete = "account.delete"
	ActionToken  = "account.token" // password: checks it. The reply has HeaderAccount, for which the edge makes a token
	ActionCodes  = "account.codes" // password: replaces the recovery codes; with HeaderAccept the reply shows them
)

// Headers of private pages and of actions of people.
const (
	HeaderUser    = "Killr-User"    // request: the number of the user for whom it is made
	HeaderAccount = "Killr-Account" // reply: whose account it is, see Account
	HeaderStatus  = "Killr-Status"  // reply: its data are an HTML page with this HTTP status, for one visitor
	HeaderChanged = "Killr-Changed" // reply with a page: the scopes that changed, see FormatChanges
	// reply: an account was deleted, and its receipt has this id, which is a secret; or photos were, and theirs has
	// this number
	HeaderReceipt = "Killr-Receipt"
	AcceptPage    = "page" // value of HeaderAccept

	// HeaderVisibility, in the reply to ActionOwnEdit, is who sees the photo now: public, unlisted or private.
	HeaderVisibility = "Killr-Visibility"
)

// Account says whose password was checked or set.
type Account struct {
	User       int64
	Name       string
	PasswordAt time.Time // when the password was set that holds now
}

// String is the header's form: "7 ansel 1795463000123456".
func (a Account) String() string {
	return strconv.FormatInt(a.User, 10) + " " + a.Name + " " + FormatTime(a.PasswordAt)
}

// ParseAccount is the inverse of [Account.String].
func ParseAccount(s string) (a Account, err error) {
	parts := strings.Split(s, " ")
	ok := len(parts) == 3
	if ok {
		a.Name = parts[1]
		a.User, err = strconv.ParseInt(parts[0], 10, 64)
		ok = err == nil && a.User > 0
	}
	if ok {
		a.PasswordAt, ok = ParseTime(parts[2])
	}
	if !ok {
		return Account{}, fmt.Errorf("%s: %q is no account", HeaderAccount, s)
	}
	return a, nil
}

// HashesPassword reports whether a subject is that of an action that has a password hashed, or codes. It may wait for
// others of its kind for longer than other actions do.
func HashesPassword(subject string) bool {
	switch strings.TrimPrefix(subject, prefixAction) {
	case ActionSignUp, ActionSignIn, ActionRecover, ActionPassword, ActionDelete, ActionCodes, ActionPasskeyBegin,
		ActionReset, ActionEmail, ActionToken, ActionShare, ActionShareOpen:
		return true
	}
	return false
}

// FoldName returns the one spelling of a user's name, which people may type in others: compatibility forms (NFKC),
// letter case and space around it do not count. What is longer than any name stays as it is.
func FoldName(typed string) string {
	if len(typed) > 1<<10 {
		return typed
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(typed))))
}

// HasVisible reports whether a text has a character that draws something: a letter, digit, sign or symbol that is none
// of those that are drawn as nothing, such as U+200B, variation selectors and the fillers of Hangul.
func HasVisible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		const blankBraille, nullNotehead = '\u2800', '\U0001D159'
		return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) &&
			!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != blankBraille && r != nullNotehead
	})
}

// ChangedBy returns the changes in the reply to an action.
func ChangedBy(reply *nats.Msg) ([]Change, error) {
	if reply.Header.Get(HeaderStatus) != "" {
		changed := reply.Header.Get(HeaderChanged)
		if changed == "" {
			return nil, nil
		}
		return ParseChanges(changed)
	}
	return DecodeChanges(reply.Data)
}

// PrivateRequest is the data of a request for a private page: what the edge knows and rows do not.
type PrivateRequest struct {
	Key      string        `json:"key,omitempty"`      // for the form's hidden field
	Next     string        `json:"next,omitempty"`     // the path to go to after signing in
	Notice   string        `json:"notice,omitempty"`   // what has just happened, such as NoticePassword
	Values   url.Values    `json:"values,omitempty"`   // what was typed, without passwords and codes
	Wait     time.Duration `json:"wait,omitempty"`     // after too many guesses: when the next one is allowed
	Sessions []OwnSession  `json:"sessions,omitempty"` // of the person, the one last seen first
	Receipt  string        `json:"receipt,omitempty"`  // the id of a receipt, see HeaderReceipt
	JSON     bool          `json:"json,omitempty"`     // the reply is to be JSON, not a page
	Tokens   []OwnToken    `json:"tokens,omitempty"`   // of the person, the one used last first
	Made     *MadeToken    `json:"made,omitempty"`     // has just been made

	Problems map[string]string `json:"problems,omitempty"` // what is wrong with the form, by field
	Uploads  []UploadLine      `json:"uploads,omitempty"`  // what became of the files that the form had, in their order
}

// OwnToken is an API token as its person sees it.
type OwnToken struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Write   bool      `json:"write"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"` // used last, to the hour
}

// MadeToken is a new API token, which is shown once.
type MadeToken struct {
	Token string `json:"token"`
	Name  string `json:"name"`
	Write bool   `json:"write"`
}

// OwnSession is a session as its person sees it.
type OwnSession struct {
	ID      string    `json:"id"`
	Agent   string    `json:"agent"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Current bool      `json:"current,omitempty"` // it is the one that asks
}

// Notices: what a private page may say on top.
const (
	NoticePassword  = "password"  // the password was changed
	NoticeRecovered = "recovered" // the password was set by a recovery code
	NoticeEnded     = "ended"     // sessions were ended
	NoticeNoSession = "none"      // a session that was to be ended is none of theirs, or had ended before
	NoticeToken     = "token"     // an API token was ended
	NoticeCookies   = "cookies"   // the browser sent two session cookies
)

// Encode returns the request's JSON.
func (r PrivateRequest) Encode() ([]byte, error) { return json.Marshal(r) }

// DecodePrivateRequest is the inverse of [PrivateRequest.Encode]. No data are a request without anything.
func DecodePrivateRequest(data []byte) (r PrivateRequest, err error) {
	if len(data) == 0 {
		return r, nil
	}
	if err = json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return r, nil
}

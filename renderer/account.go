package renderer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// Limits of a profile, in characters, as the tables have them.
const (
	maxDisplayName = 100
	maxBio         = 2000
)

// accountAction is an action of a person: how its form is checked, and what it does.
type accountAction struct {
	name string
	page page.Private // that has its form
	pool *pool
	own  bool // it is about the user of HeaderUser
	act  func(ctx context.Context, d *actionRun, a attempt) (*outcome, error)
}

// attempt is an action of a person that is under way.
type attempt struct {
	visit
	key  string
	form form
}

// visit says who asks for an action or a private page, and where.
type visit struct {
	user    int64  // HeaderUser; 0: nobody
	origin  string // HeaderOrigin
	browser string // HeaderBrowser
}

// visitOf reads who asks.
func visitOf(m *nats.Msg, required bool) (visit, error) {
	user, err := userOf(m, required)
	return visit{user, m.Header.Get(wire.HeaderOrigin), m.Header.Get(wire.HeaderBrowser)}, err
}

// context names the attempt for package password.
func (a attempt) context(subject string) string { return subject + " " + a.key }

func accountActions(workers, passwords *pool) []accountAction {
	return []accountAction{
		{wire.ActionSignUp, page.PrivateSignUp, passwords, false, signUp},
		{wire.ActionSignIn, page.PrivateSignIn, passwords, false, signIn},
		{wire.ActionRecover, page.PrivateRecover, passwords, false, recoverAccount},
		{wire.ActionPassword, page.PrivatePassword, passwords, true, changePassword},
		{wire.ActionProfileEdit, page.PrivateProfile, workers, true, editProfile},
		{wire.ActionDelete, page.PrivateDelete, passwords, false, deleteAccount}, // again without a user, see there
		{wire.ActionCodes, page.PrivateCodes, passwords, true, renewCodes},
		{wire.ActionToken, page.PrivateTokens, passwords, true, allowToken},
		{wire.ActionPasskeyBegin, page.PrivateNewPasskey, passwords, true, beginPasskey},
		{wire.ActionPasskeyAdd, page.PrivateNewPasskey, workers, true, addPasskey},
		{wire.ActionPasskeyRename, page.PrivatePasskeys, workers, true, renamePasskey},
		{wire.ActionPasskeyRemove, page.PrivatePasskeys, workers, true, removePasskey},
		{wire.ActionMailLink, page.PrivateMailLink, workers, false, mailLink},
		{wire.ActionReset, page.PrivateReset, passwords, false, resetPassword},
		{wire.ActionConfirm, page.PrivateConfirm, workers, true, confirmEmail},
		{wire.ActionEmail, page.PrivateEmail, passwords, true, changeEmail},
		{wire.ActionOwnEdit, page.PrivatePhoto, workers, true, editOwn},
		{wire.ActionOwnPhotos, page.PrivatePhotos, workers, true, changeOwn},
		{wire.ActionOwnBin, page.PrivateBin, workers, true, changeBin},
		{wire.ActionOwnAlbums, page.PrivateAlbums, workers, true, changeAlbums},
		{wire.ActionOwnAlbum, page.PrivateAlbum, workers, true, changeAlbum},
		{wire.ActionShare, page.PrivateShares, passwords, true, makeShare},
		{wire.ActionUnshare, page.PrivateShares, workers, true, endShare},
		{wire.ActionReshare, page.PrivateShares, workers, true, restoreShare},
		{wire.ActionShareAdd, page.PrivateShares, workers, true, letAdd},
		{wire.ActionTakeout, page.PrivateTakeout, workers, true, beginTakeout},
		{wire.ActionPasskeySignIn, page.PrivateSignIn, workers, false, signInByPasskey},
	}
}

// accountEndpoints lists the endpoints of accounts. What is wrong with a form is found by a worker, because the answer
// may be a page.
func accountEndpoints(workers, passwords *pool) []*endpoint {
	var all []*endpoint
	for _, a := range accountActions(workers, passwords) {
		all = append(all, &endpoint{
			name: strings.ReplaceAll(a.name, ".", "-"), subjects: []string{wire.ActionSubject(a.name)}, pool: a.pool,
			parse: func(m *nats.Msg) (parsed, error) {
				key, err := keyOf(m)
				if err != nil {
					return parsed{}, err
				}
				visit, err := visitOf(m, a.own)
				if err != nil {
					return parsed{}, err
				}
				form, wrongForm := parseForm(a.name, m.Data, fieldsOf(a.page)...)
				at := attempt{visit, key, form}
				var run actionFunc = func(ctx context.Context, d *actionRun) (*outcome, error) {
					if wrongForm != nil {
						return nil, wrongForm
					}
					return a.act(ctx, d, at)
				}
				if m.Header.Get(wire.HeaderAccept) == wire.AcceptPage {
					run = withPage(a.page, at, run)
				} else {
					run = withoutPage(run)
				}
				return parsed{action: &action{run: run}, limit: wire.ActionDeadline}, nil
			},
		})
	}
	return all
}

// userOf reads for which user a request is.
func userOf(m *nats.Msg, required bool) (int64, error) {
	text := m.Header.Get(wire.HeaderUser)
	if text == "" && !required {
		return 0, nil
	}
	user, err := strconv.ParseInt(text, 10, 64)
	if err != nil || user <= 0 {
		return 0, wrong(wire.HeaderUser, "is not the number of a user: give digits, such as 7")
	}
	return user, nil
}

// withPage answers a form that something is wrong with by the form's page.
func withPage(kind page.Private, at attempt, run actionFunc) actionFunc {
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		out, err := run(ctx, d)
		all, ok := errors.AsType[problems](err)
		if input, one := errors.AsType[*wire.InputError](err); one && !ok {
			all, ok = problems{input.Field: input.Problem}, true
		}
		key := at.key
		if errors.Is(err, store.ErrConflict) {
			all, ok = problems{formField: "This was sent before with other content. Look at it and send it again"}, true
			key = rand.Text()
		}
		if !ok {
			return out, err
		}
		view, viewErr := d.privateView(ctx, kind, at.visit, templates.Form{
			Key: key, Next: at.form["next"], Values: at.form.shown(), Problems: all.onPage(kind),
		}, wire.PrivateRequest{})
		if viewErr != nil {
			return nil, viewErr
		}
		return &outcome{refused: all, view: view}, nil
	}
}

// withoutPage leaves out what only pages have.
func withoutPage(run actionFunc) actionFunc {
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		out, err := run(ctx, d)
		if out != nil {
			out.view = nil
		}
		return out, err
	}
}

// fieldsOf lists the fields of the form on a page.
func fieldsOf(kind page.Private) []string {
	switch kind {
	case page.PrivateSignUp:
		return []string{"name", "password", "email", "next"}
	case page.PrivateSignIn:
		return []string{"name", "password", "passkey", "next"}
	case page.PrivateRecover:
		return []string{"name", "code", "password"}
	case page.PrivatePassword:
		return []string{"old", "password"}
	case page.PrivateProfile:
		return []string{"display", "bio", "licence", "download"}
	case page.PrivateDelete:
		return []string{"password", "sessions", "tokens"}
	case page.PrivateCodes, page.PrivateTokens:
		return []string{"password"}
	case page.PrivateMailLink:
		return []string{"name"}
	case page.PrivateReset:
		return []string{"token", "password"}
	case page.PrivateConfirm:
		return []string{"token"}
	case page.PrivateEmail:
		return []string{"email", "password"}
	case page.PrivatePasskeys:
		return []string{"id", "label", "remove"}
	case page.PrivateNewPasskey:
		return []string{"password", "passkey", "label"}
	case page.PrivatePhoto:
		return append(wasFields(ownFields()), append([]string{"id"}, ownFields()...)...)
	case page.PrivatePhotos: // the last two are of pages of the release before
		return []string{"photos", "do", "tag", "album", "licence", "list", "show", "before"}
	case page.PrivateBin:
		return []string{"photos", "do", "seen"}
	case page.PrivateAlbums:
		return []string{"do", "title", "description", "parent", "visibility", "album", "photos", "before"}
	case page.PrivateAlbum:
		return append(wasFields(albumFields()), "id", "do", "title", "description", "parent", "visibility", "photos",
			"at", "after", "before")
	case page.PrivateShares:
		return []string{"photo", "album", "name", "password", "days", "adds", "end", "back", "let", "stop", "before"}
	case page.PrivateTakeout:
		return []string{"album"}
	}
	return nil
}

func signUp(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	all := problems{}
	name, problem := a.form.newName()
	all.note(problem)
	secret, problem := a.form.newPassword(name)
	all.note(problem)
	email, problem := a.form.email()
	all.note(problem)
	if email != "" && d.mail == nil {
		all[formField] = "This site sends no mail: sign up without an address"
	}
	if err := all.asError(); err != nil {
		return nil, err
	}
	codes, stored := newCodes(secret, a.context(name))
	hash := password.Hash(secret, a.context(name))
	before, err := d.accountNamed(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	repeated := err == nil && before.Password == hash
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.SignUp(ctx, a.key, name, hash, email, stored)
	})
	if errors.Is(err, store.ErrTaken) {
		return nil, wrong("name", "is taken: choose another")
	}
	if err != nil {
		return nil, err
	}
	account, err := d.accountNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := afterPassword(account, hash, changes)
	if err != nil {
		return nil, err
	}
	view := templates.CodesPage{Site: d.maker.site, Person: templates.Person{Name: name}, Codes: codes, Email: email}
	if email != "" { // whatever becomes of the mail, the codes must be shown
		if err := d.postConfirmation(account, email, a.key); err != nil {
			d.log.Warn("a new account is mailed no link", "err", err)
			view.Unmailed = true
		}
	}
	out.view = templates.Codes(view)
	if repeated { // a reload after somebody has signed out signs nobody in
		out.account = nil
	}
	return out, nil
}

// errNoMatch is one answer for an unknown name, a wrong password and an account that is closed.
func errNoMatch() error { return wrong("password", "does not fit the name: check both") }

func signIn(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	all := problems{}
	name, problem := a.form.userName()
	all.note(problem)
	secret, problem := a.form.typedPassword("password")
	all.note(problem)
	if err := all.asError(); err != nil {
		return nil, err
	}
	account, err := d.checkPassword(ctx, name, secret)
	if err != nil {
		return nil, err
	}
	return &outcome{account: toAccount(account)}, nil
}

// checkPassword returns the account of a name if the password is its own. It takes the same time whether there is such
// an account or not.
func (d *actionRun) checkPassword(ctx context.Context, name, secret string) (*store.Account, error) {
	account, err := d.accountNamed(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || account.Password == "" {
		password.VerifyNobody(secret)
		return nil, errNoMatch()
	}
	ok, err := password.Verify(account.Password, secret)
	if err != nil {
		return nil, fmt.Errorf("the account of user %d: %w", account.User, err)
	}
	if !ok || account.Disabled {
		return nil, errNoMatch()
	}
	return account, nil
}

// recoverAccount sets a password by a recovery code. A code has 80 bits, so its hash may be compared at once; the new
// password is hashed first, so that an unknown name takes the same time.
func recoverAccount(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	all := problems{}
	name, problem := a.form.userName()
	all.note(problem)
	secret, problem := a.form.newPassword(name)
	all.note(problem)
	code := a.form["code"]
	if code == "" || len(code) > 100 {
		all["code"] = "is missing, or too long: give one of those that you got when you signed up"
	}
	if err := all.asError(); err != nil {
		return nil, err
	}
	hash := password.Hash(secret, a.context(name))
	account, err := d.accountNamed(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	var changes []store.Change
	if err == nil && !account.Disabled && account.Password != "" {
		changes, err = fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
			return d.store.Recover(ctx, a.key, account.User, password.CodeHash(code), hash)
		})
	} else {
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, wrong("code", "does not fit the name, or was used: check both, or use another code")
	}
	if err != nil {
		return nil, err
	}
	if account, err = d.accountOf(ctx, account.User); err != nil { // again, for when its password was set
		return nil, err
	}
	return afterPassword(account, hash, changes)
}

// afterPassword is the outcome of an action that has set the password with this hash, or did so before, under the same
// key. If another password holds meanwhile, or the account is closed, nobody is signed in.
func afterPassword(now *store.Account, hash string, changes []store.Change) (*outcome, error) {
	if now.Password != hash || now.Disabled {
		return nil, errNoMatch()
	}
	return &outcome{changes: changes, account: toAccount(now)}, nil
}

func (d *actionRun) accountNamed(ctx context.Context, name string) (*store.Account, error) {
	return fromRows(ctx, d, func(ctx context.Context) (*store.Account, error) {
		return d.store.AccountNamed(ctx, name)
	})
}

func (d *actionRun) accountOf(ctx context.Context, user int64) (*store.Account, error) {
	return fromRows(ctx, d, func(ctx context.Context) (*store.Account, error) { return d.store.AccountOf(ctx, user) })
}

func toAccount(a *store.Account) *wire.Account {
	return &wire.Account{User: a.User, Name: a.Name, PasswordAt: a.SessionsFrom}
}

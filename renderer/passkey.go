package renderer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"flickrkillr/renderer/passkey"
	"flickrkillr/renderer/password"
	"flickrkillr/renderer/picturekey"
	"flickrkillr/renderer/sharelink"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// maxLabel bounds the label of a passkey, in characters, as the table has it.
const maxLabel = 60

// readKey reads the site's key, with which challenges are sealed, and from which the keys of pictures follow.
func (s *Service) readKey(ctx context.Context) error {
	key, err := s.store.SiteKey(ctx)
	if err != nil {
		return err
	}
	s.passkeys = passkey.New(templates.Name, key)
	if s.maker.keys, err = picturekey.New(key); err != nil {
		return err
	}
	for _, r := range s.replicas.all {
		r.maker.keys = s.maker.keys
	}
	if s.links, err = sharelink.New(key); err != nil {
		return err
	}
	return s.shared.setKey(key)
}

// place is where and when a visitor takes a step of a ceremony.
func (d *actionRun) place(v visit) passkey.Place {
	return passkey.Place{Origin: v.origin, Browser: v.browser, Now: d.clock.Now()}
}

// addPasskeysTo adds to a private page what it says about passkeys.
func (d *actionRun) addPasskeysTo(ctx context.Context, p *templates.PrivatePage, v visit) (err error) {
	at := d.place(v)
	switch p.Kind {
	case page.PrivateSignIn:
		if at.Host() != "" && v.browser != "" {
			p.PasskeyOptions, err = asText(d.passkeys.SignInOptions(at))
		}
	case page.PrivateNewPasskey:
		p.PasskeyHost = at.Host()
	case page.PrivatePasskeys, page.PrivateMe:
		all, err := d.passkeysOf(ctx, v.user)
		if err != nil {
			return err
		}
		for _, one := range all {
			card := templates.PasskeyCard{ID: strconv.FormatInt(one.ID, 10), Label: one.Label, Host: one.Host,
				Created: one.Created}
			if one.Used != nil {
				card.Used = *one.Used
			}
			p.Passkeys = append(p.Passkeys, card)
		}
	}
	return err
}

func asText(data []byte, err error) (string, error) { return string(data), err }

func (d *actionRun) passkeysOf(ctx context.Context, user int64) ([]store.Passkey, error) {
	return fromRows(ctx, d, func(ctx context.Context) ([]store.Passkey, error) { return d.store.Passkeys(ctx, user) })
}

// beginPasskey checks the password of somebody who wants to add a passkey, and answers with the page that makes it. A
// session alone may not: who borrows a browser for a minute must not get in for good. The authenticator is asked after
// the password, so that it keeps no passkey that the site refuses.
func beginPasskey(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	secret, problem := a.form.typedPassword("password")
	if problem != nil {
		return nil, problem
	}
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	ok, err := password.Verify(account.Password, secret)
	if err != nil {
		return nil, fmt.Errorf("the account of user %d: %w", account.User, err)
	}
	if !ok || account.Disabled {
		return nil, wrong("password", "is not yours: check it")
	}
	return d.passkeyMaker(ctx, a, account, nil)
}

// passkeyMaker answers with the page that makes a passkey, and says what was wrong with the one before.
func (d *actionRun) passkeyMaker(
	ctx context.Context, a attempt, account *store.Account, problems problems,
) (*outcome, error) {
	owner, err := d.ownerOf(ctx, account, d.place(a.visit).Host())
	if err != nil {
		return nil, err
	}
	f := templates.Form{Key: a.key, Values: a.form.shown(), Problems: problems.onPage(page.PrivateNewPasskey)}
	p := templates.PrivatePage{Site: d.maker.site, Kind: page.PrivateNewPasskey, Form: f,
		Person: templates.Person{Name: account.Name, Display: account.DisplayName}}
	if p.PasskeyHost = d.place(a.visit).Host(); p.PasskeyHost != "" {
		if p.PasskeyOptions, err = asText(d.passkeys.AddOptions(d.place(a.visit), owner)); err != nil {
			return nil, err
		}
	}
	return &outcome{view: templates.Private(p), refused: problems}, nil
}

// ownerOf is a user with the passkeys that they have for a host.
func (d *actionRun) ownerOf(ctx context.Context, account *store.Account, host string) (passkey.User, error) {
	owner := passkey.User{ID: account.User, Name: account.Name, Display: account.DisplayName,
		PasswordAt: account.PasswordAt}
	all, err := d.passkeysOf(ctx, account.User)
	if err != nil {
		return owner, err
	}
	for _, one := range all {
		if one.Host == host {
			owner.Records = append(owner.Records, one.Record)
		}
	}
	return owner, nil
}

// addPasskey stores the passkey that an authenticator has made. Its challenge shows that beginPasskey has checked the
// password that holds still.
func addPasskey(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	at := d.place(a.visit)
	owner, err := d.ownerOf(ctx, account, at.Host())
	if err != nil {
		return nil, err
	}
	made, err := d.passkeys.Add(at, owner, []byte(a.form["passkey"]))
	if err != nil {
		return nil, d.refusedPasskey(err)
	}
	label, problem := a.form.label()
	if problem != nil {
		return d.passkeyMaker(ctx, a, account, problems{problem.Field: problem.Problem})
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.AddPasskey(ctx, a.key, account.PasswordAt, made.Challenge, store.Passkey{User: a.user,
			Credential: made.Credential, Host: at.Host(), Label: label, Count: made.Count, Record: made.Record})
	})
	switch {
	case errors.Is(err, store.ErrChanged):
		return nil, wrong(formField, "Your password was changed just now: sign in again")
	case errors.Is(err, store.ErrTaken):
		return nil, wrong(formField, "This passkey was added before")
	case errors.Is(err, store.ErrTooMany):
		return nil, wrong(formField, "You have %d passkeys: remove one first", store.MaxPasskeys)
	case errors.Is(err, store.ErrUsed):
		return nil, d.refusedPasskey(err)
	case err != nil:
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// signInByPasskey signs in whom a passkey belongs to.
func signInByPasskey(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	var found *store.Passkey
	var account *store.Account
	proof, err := d.passkeys.SignIn(d.place(a.visit), []byte(a.form["passkey"]),
		func(credential []byte) (owner passkey.User, err error) {
			found, err = fromRows(ctx, d, func(ctx context.Context) (*store.Passkey, error) {
				return d.store.PasskeyOf(ctx, credential)
			})
			if err != nil {
				return owner, err
			}
			if account, err = d.accountOf(ctx, found.User); err != nil {
				return owner, err
			}
			return passkey.User{ID: account.User, Name: account.Name, Display: account.DisplayName,
				Records: []json.RawMessage{found.Record}}, nil
		})
	if err != nil {
		return nil, d.refusedPasskey(err)
	}
	_, err = fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.UsePasskey(ctx, a.key, proof.Challenge,
			store.Passkey{ID: found.ID, Count: proof.Count, Record: proof.Record})
	})
	if errors.Is(err, store.ErrCopied) {
		d.log.Warn("a passkey is refused", "user", found.User, "err", err)
	}
	if err != nil {
		return nil, d.refusedPasskey(err)
	}
	return &outcome{account: toAccount(account)}, nil
}

// refusedPasskey says to a person why a passkey does not do, and to the log what exactly is wrong with it. What is
// wrong with the site, and not with the passkey, it returns as it is.
func (d *actionRun) refusedPasskey(err error) error {
	said := "That passkey cannot be used here. Try again, take another one, or use your password"
	switch {
	case errors.Is(err, passkey.ErrExpired), errors.Is(err, store.ErrUsed):
		said = "The page was open for too long, or was sent before. Try again"
	case errors.Is(err, passkey.ErrRefused), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCopied):
	default:
		return err
	}
	d.log.Info("a passkey is refused", "err", err)
	return wrong(formField, "%s", said)
}

func renamePasskey(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id, err := a.form.passkeyID()
	if err != nil {
		return nil, err
	}
	label, problem := a.form.label()
	if problem != nil {
		return nil, problem
	}
	return d.changePasskey(ctx, func(ctx context.Context) ([]store.Change, error) {
		return d.store.RenamePasskey(ctx, a.key, a.user, id, label)
	})
}

func removePasskey(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id, err := a.form.passkeyID()
	if err != nil {
		return nil, err
	}
	return d.changePasskey(ctx, func(ctx context.Context) ([]store.Change, error) {
		return d.store.RemovePasskey(ctx, a.key, a.user, id)
	})
}

func (d *actionRun) changePasskey(
	ctx context.Context, change func(ctx context.Context) ([]store.Change, error),
) (*outcome, error) {
	changes, err := fromRows(ctx, d, change)
	if errors.Is(err, store.ErrNotFound) {
		return nil, wrong(formField, "You have no such passkey any more")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// label reads how a person calls a passkey.
func (f form) label() (string, *wire.InputError) {
	label, problem := f.line("label", maxLabel)
	if problem != nil {
		return "", problem
	}
	if label == nil || strings.TrimSpace(*label) == "" {
		return "", wrong("label", "is missing: say where the passkey is, such as phone")
	}
	if !wire.HasVisible(*label) {
		return "", wrong("label", "has invisible characters alone: say where the passkey is, such as phone")
	}
	return *label, nil
}

func (f form) passkeyID() (int64, error) {
	id, err := strconv.ParseInt(f["id"], 10, 64)
	if err != nil || id <= 0 {
		return 0, wrong("id", "is not the number of a passkey: reload the page")
	}
	return id, nil
}

package renderer

import (
	"context"
	"errors"
	"fmt"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func changePassword(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	all := problems{}
	old, problem := a.form.typedPassword("old")
	all.note(problem)
	secret, problem := a.form.newPassword(account.Name)
	all.note(problem)
	if err := all.asError(); err != nil {
		return nil, err
	}
	hash := password.Hash(secret, a.context(account.Name))
	if account.Password != hash { // it is when this attempt is a repetition
		ok, err := password.Verify(account.Password, old)
		if err != nil {
			return nil, fmt.Errorf("the account of user %d: %w", account.User, err)
		}
		if !ok {
			return nil, wrong("old", "is not the one that holds: check it")
		}
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.SetPassword(ctx, a.key, a.user, account.Password, hash)
	})
	if errors.Is(err, store.ErrChanged) {
		return nil, wrong("old", "was changed just now: sign in again")
	}
	if err != nil {
		return nil, err
	}
	if account, err = d.accountOf(ctx, a.user); err != nil { // again, for when its password was set
		return nil, err
	}
	return afterPassword(account, hash, changes)
}

// newCodes returns recovery codes, and what is stored of them. A repeated attempt gets the same ones.
func newCodes(secret, context string) (codes []string, stored [][]byte) {
	codes = password.Codes(secret, context)
	for _, code := range codes {
		stored = append(stored, password.CodeHash(code))
	}
	return codes, stored
}

// renewCodes replaces the recovery codes.
func renewCodes(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	if err := checkOwn(account, a.form, "password"); err != nil {
		return nil, err
	}
	codes, stored := newCodes(a.form["password"], a.context(account.Name))
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.SetCodes(ctx, a.key, a.user, account.Password, stored)
	})
	if errors.Is(err, store.ErrChanged) {
		return nil, wrong("password", "was changed just now: sign in again")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes, view: templates.Codes(templates.CodesPage{
		Site: d.maker.site, Person: templates.Person{Name: account.Name, Display: account.DisplayName}, Codes: codes,
		Renewed: true,
	})}, nil
}

// allowToken checks the password of somebody who wants an API token, which an edge makes. A session alone may not have
// one made: who borrows a browser for a minute must not get in for good.
func allowToken(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	if err := checkOwn(account, a.form, "password"); err != nil {
		return nil, err
	}
	if account.Disabled {
		return nil, errNoMatch()
	}
	return &outcome{account: toAccount(account)}, nil
}

func editProfile(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	all := problems{}
	var edit store.Profile
	var problem *wire.InputError
	edit.DisplayName, problem = a.form.line("display", maxDisplayName)
	if problem == nil && edit.DisplayName != nil {
		problem = checkDisplayName(*edit.DisplayName)
	}
	all.note(problem)
	edit.Bio, problem = a.form.prose("bio", maxBio)
	all.note(problem)
	edit.Rights, problem = a.form.rights()
	all.note(problem)
	if edit == (store.Profile{}) && len(all) == 0 {
		all[formField] = "changes nothing: give a display name, a text about you, or what others may do with new photos"
	}
	if err := all.asError(); err != nil {
		return nil, err
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.EditProfile(ctx, a.key, a.user, edit)
	})
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

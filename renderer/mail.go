package renderer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"

	"flickrkillr/renderer/mail"
	"flickrkillr/renderer/password"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// newMailer makes the queue of mails; nil without Config.SMTP.
func (s *Service) newMailer() error {
	if s.cfg.SMTP == "" {
		return nil
	}
	server, err := mail.ParseURL(s.cfg.SMTP)
	if err != nil {
		return fmt.Errorf("--smtp: %w", err)
	}
	if s.maker.site.Base == "" {
		return errors.New("--smtp needs --base-url: mails have links to the site")
	}
	for _, outcome := range mail.Outcomes() {
		s.metrics.mails.WithLabelValues(outcome)
	}
	s.mail = mail.NewQueue(server, s.log, func(outcome string) { s.metrics.mails.WithLabelValues(outcome).Inc() })
	return nil
}

// addMailTo adds to a private page what it says about mail.
func (d *actionRun) addMailTo(ctx context.Context, p *templates.PrivatePage, v visit) (err error) {
	p.CanMail = d.mail != nil
	switch p.Kind {
	case page.PrivateEmail, page.PrivateMe, page.PrivateConfirm:
		p.Email, err = d.emailOf(ctx, v.user)
	}
	if p.Kind == page.PrivateConfirm && err == nil {
		link, err := d.linkOf(ctx, tokenHash(p.Form.Values["token"]), store.LinkEmail)
		if err == nil && link.User == v.user {
			p.Confirms = link.Email
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return err
}

func (d *actionRun) emailOf(ctx context.Context, user int64) (string, error) {
	return fromRows(ctx, d, func(ctx context.Context) (string, error) { return d.store.EmailOf(ctx, user) })
}

func (d *actionRun) linkOf(ctx context.Context, token []byte, purpose string) (store.LinkTo, error) {
	return fromRows(ctx, d, func(ctx context.Context) (store.LinkTo, error) {
		return d.store.LinkOf(ctx, token, purpose)
	})
}

// post queues a mail.
func (d *actionRun) post(job mail.Job) error {
	if d.mail == nil {
		return wrong(formField, "This site sends no mail: use a recovery code")
	}
	if err := d.mail.Put(job); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrBusy, err)
	}
	return nil
}

// mailLink mails a link that sets a new password, if the name or address is that of somebody to mail to. Looking that
// up is part of the mail, so neither the answer nor its time tells whether there is anybody.
func mailLink(_ context.Context, d *actionRun, a attempt) (*outcome, error) {
	typed := strings.TrimSpace(a.form["name"])
	if typed == "" || len(typed) > 400 {
		return nil, wrong("name", "is missing, or too long: give your name here, or your address")
	}
	err := d.post(func(ctx context.Context) (*mail.Mail, error) {
		account, email, err := d.mailbox(ctx, typed)
		if err != nil || email == "" {
			return nil, err
		}
		return d.mailWithLink(ctx, store.LinkPassword, account, email, a.key)
	})
	if err != nil {
		return nil, err
	}
	return &outcome{}, nil
}

// mailbox finds the account with a name or an address that somebody has typed, and its address; "" if there is none.
func (s *Service) mailbox(ctx context.Context, typed string) (*store.Account, string, error) {
	email, isAddress := mail.ParseAddress(typed)
	find := func() (*store.Account, error) { return s.store.AccountNamed(ctx, wire.FoldName(typed)) }
	if isAddress {
		find = func() (*store.Account, error) { return s.store.AccountByEmail(ctx, email) }
	}
	account, err := find()
	if errors.Is(err, store.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if !isAddress {
		email, err = s.store.EmailOf(ctx, account.User)
	}
	return account, email, err
}

// mailWithLink makes a mail with a link for a purpose. It returns nil if there are enough of them already, or if the
// password is another one than when the account was read: who has a password of before gets no link.
func (s *Service) mailWithLink(
	ctx context.Context, purpose string, account *store.Account, email, attempt string,
) (*mail.Mail, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails, see crypto/rand
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	made, err := s.store.MakeLink(ctx, store.Link{Token: tokenHash(token), User: account.User,
		PasswordAt: account.PasswordAt, Purpose: purpose, Email: email, Attempt: attempt})
	if err != nil || !made {
		return nil, err
	}
	m := &mail.Mail{To: email}
	kind, asked, does := page.PrivateReset, "for a link that sets a new password", "set a new password"
	m.Subject = "Set a new password on " + templates.Name
	if purpose == store.LinkEmail {
		kind, asked, does = page.PrivateConfirm, "to use this address", "confirm the address"
		m.Subject = "Confirm your address on " + templates.Name
	}
	link := s.maker.site.Base + kind.Path() + "?" + url.Values{"token": {token}}.Encode()
	const text = "Somebody, most likely you, has asked %s\nfor the account %s at %s.\n\n" +
		"Open this link to %s:\n\n%s\n\n" +
		"It works once, within 30 minutes. If it was not you, do nothing: nothing changes.\n"
	m.Text = fmt.Sprintf(text, asked, account.Name, s.maker.site.Base, does, link)
	const inHTML = `<!doctype html><html lang="en"><body><p>Somebody, most likely you, has asked %s for the account ` +
		`<b>%s</b> at %s.</p><p><a href="%s">Open this link to %s</a>.</p><p>It works once, within 30 minutes. If it ` +
		"was not you, do nothing: nothing changes.</p></body></html>\n"
	m.HTML = fmt.Sprintf(inHTML, asked, html.EscapeString(account.Name), html.EscapeString(s.maker.site.Base),
		html.EscapeString(link), does)
	return m, nil
}

// tokenHash is what is stored of a link.
func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// errLink says that a link counts no more.
func errLink() error {
	return wrong(formField, "This link was used, is older than 30 minutes, or the password was changed since: ask for "+
		"another one")
}

// resetPassword sets a password by a mailed link.
func resetPassword(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	token := tokenHash(a.form["token"])
	link, err := d.linkOf(ctx, token, store.LinkPassword)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errLink()
	}
	if err != nil {
		return nil, err
	}
	account, err := d.accountOf(ctx, link.User)
	if err != nil {
		return nil, err
	}
	secret, problem := a.form.newPassword(account.Name)
	if problem != nil {
		return nil, problem
	}
	hash := password.Hash(secret, a.context(account.Name))
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.ResetPassword(ctx, a.key, token, hash)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, errLink()
	}
	if err != nil {
		return nil, err
	}
	if account, err = d.accountOf(ctx, link.User); err != nil { // again, for when its password was set
		return nil, err
	}
	return afterPassword(account, hash, changes)
}

// changeEmail mails a link that confirms a new address, or removes the address. It does not say whether another account
// has the address: only the person who reads the mail can find out.
func changeEmail(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	all := problems{}
	email, problem := a.form.email()
	all.note(problem)
	secret, problem := a.form.typedPassword("password")
	all.note(problem)
	if err := all.asError(); err != nil {
		return nil, err
	}
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	if ok, err := password.Verify(account.Password, secret); err != nil {
		return nil, fmt.Errorf("the account of user %d: %w", account.User, err)
	} else if !ok || account.Disabled {
		return nil, wrong("password", "is not yours: check it")
	}
	if email != "" {
		return &outcome{}, d.postConfirmation(account, email, a.key)
	}
	before, err := d.emailOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.RemoveEmail(ctx, a.key, a.user)
	})
	if err != nil {
		return nil, err
	}
	d.tellOldAddress(account.Name, before, "")
	return &outcome{changes: changes}, nil
}

// postConfirmation queues a mail with a link that confirms an address. A repeated attempt mails nothing.
func (d *actionRun) postConfirmation(account *store.Account, email, attempt string) error {
	return d.post(func(ctx context.Context) (*mail.Mail, error) {
		return d.mailWithLink(ctx, store.LinkEmail, account, email, attempt)
	})
}

// confirmEmail takes the address that a link was mailed to. Only the person who has asked for the link may: a link that
// somebody else has had mailed takes the address from no account of its reader.
func confirmEmail(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	token := tokenHash(a.form["token"])
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	before, err := d.emailOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	link, err := d.linkOf(ctx, token, store.LinkEmail)
	var changes []store.Change
	if err == nil {
		changes, err = fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
			return d.store.ConfirmEmail(ctx, a.key, a.user, token)
		})
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, errLink()
	}
	if err != nil {
		return nil, err
	}
	d.tellOldAddress(account.Name, before, link.Email)
	return &outcome{changes: changes}, nil
}

// tellOldAddress mails the address that an account has no longer, so that its owner hears of it.
func (d *actionRun) tellOldAddress(name, before, now string) {
	if before == "" || before == now || d.mail == nil {
		return
	}
	const does = "no longer has this address: links that set a new password are not mailed here any more"
	const advice = "If it was not you, set a new password, and look at the address in your account"
	account := d.maker.site.Base + page.PrivateMe.Path()
	m := &mail.Mail{To: before, Subject: "Your address on " + templates.Name + " is removed",
		Text: fmt.Sprintf("The account %s at %s\n%s.\n\n%s:\n\n%s\n", name, d.maker.site.Base, does, advice, account),
		HTML: fmt.Sprintf(`<!doctype html><html lang="en"><body><p>The account <b>%s</b> at %s %s.</p><p>%s: `+
			`<a href="%s">your account</a>.</p></body></html>`+"\n", html.EscapeString(name),
			html.EscapeString(d.maker.site.Base), does, advice, html.EscapeString(account)),
	}
	if err := d.post(func(context.Context) (*mail.Mail, error) { return m, nil }); err != nil {
		d.log.Warn("an address that was removed hears nothing of it", "err", err)
	}
}

package audit

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// comeAndGo signs somebody up, has every edge show their page, and deletes the account by its form. From the bound on
// no edge may honour the session (rule "ended") or show the page (rule "gone").
func (p *people) comeAndGo(ctx context.Context, edge string) {
	whole := context.WithoutCancel(ctx) // what has begun is completed
	m := &member{name: NamePrefix + strings.ToLower(rand.Text()[:16]), passwords: []string{rand.Text()}}
	p.secrets.add(&secret{text: m.passwords[0], what: "a password"})
	p.addGuest(m.name)
	answer, err := p.password(ctx, edge, schema.PrivateSignUp, person.Session{},
		url.Values{"name": {m.name}, "password": {m.passwords[0]}})
	if err != nil || answer.Status != http.StatusOK {
		p.failed(ctx, "sign up to delete", err)
		return
	}
	p.keep(m, 0, answer.Session)
	path := schema.User(m.name).Path()
	for _, one := range p.a.cfg.Edges {
		if answer, err := p.web.Get(ctx, http.MethodGet, one, path, person.Session{}); err != nil ||
			answer.Status != http.StatusOK {
			p.failed(ctx, "see the page to delete", err)
		}
	}
	answer, err = p.password(whole, edge, schema.PrivateDelete, m.browsers[0],
		url.Values{"password": {m.passwords[0]}, "sessions": {"1"}, "tokens": {"0"}})
	acked := p.a.now()
	if err != nil || !strings.HasPrefix(answer.Header.Get("Location"), schema.PrivateReceipt.Path()) {
		p.failed(ctx, deleteAccount, err)
		return
	}
	p.a.tally.revoked(deleteAccount)
	for _, one := range p.a.cfg.Edges {
		p.probes.Go(func() { p.watchGone(ctx, one, path, m.name, acked) })
	}
	p.time(ctx, m, deleteAccount, m.browsers[:1], acked)
}

// addGuest notes the name of an account that the audit makes and deletes.
func (p *people) addGuest(name string) {
	p.guestsMu.Lock()
	defer p.guestsMu.Unlock()
	p.guests = append(p.guests, name)
}

// watchGone requests the page of somebody who is deleted until the edge does not show it, and once more when it must
// not.
func (p *people) watchGone(ctx context.Context, edge, path, name string, acked moment) {
	due := acked + p.a.cfg.Bound + probeAfter
	for p.a.now() < due && p.askGone(ctx, edge, path, name, acked) {
		if !sleep.For(ctx, pollEvery) {
			return
		}
	}
	if sleep.For(ctx, due-p.a.now()) {
		p.askGone(ctx, edge, path, name, acked)
	}
}

// askGone reports whether an edge still shows the page of somebody who is deleted, which it may only within the bound.
// A stale copy counts only if the edge had time to learn of the change.
func (p *people) askGone(ctx context.Context, edge, path, name string, acked moment) (shown bool) {
	begin := p.a.now()
	answer, err := p.web.Get(ctx, http.MethodGet, edge, path, person.Session{})
	if err != nil || answer.Status != http.StatusOK {
		return err == nil && answer.Status >= 500
	}
	late, faults := begin-acked, p.a.faults
	stale := answer.Header.Get("X-Cache") == "stale"
	if late > p.a.checker.bound(acked, begin) && (!stale || faults.quiet(acked, begin) >= FaultBound) {
		p.violated("gone", edge+path, answer, begin, "it shows %s, who was deleted %v before the request", name, late)
		return false
	}
	return true
}

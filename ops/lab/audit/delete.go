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

// comeAndGo signs somebody up who uploads a photo, has every edge show their page and the photo, and deletes the
// account by its form. From the bound on no edge may honour the session ("ended") or show anything of theirs ("gone").
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
	addresses := []string{path}
	if photo, fresh := p.upload(whole, edge, m.browsers[0], rand.Text(), false); photo != 0 {
		addresses = append(addresses, schema.Photo(photo).Path())
		addresses = append(addresses, p.seeEverywhere(ctx, photo, fresh)...)
	}
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
		for _, address := range addresses {
			p.probes.Go(func() { p.watchGone(ctx, one, address, "something of "+m.name+", who was deleted", acked) })
		}
	}
	p.time(ctx, m, deleteAccount, m.browsers[:1], acked)
}

// addGuest notes the name of an account that the audit makes and deletes.
func (p *people) addGuest(name string) {
	p.guestsMu.Lock()
	defer p.guestsMu.Unlock()
	p.guests = append(p.guests, name)
}

// watchGone requests a page or picture of what was taken away until the edge does not show it, and once more when it
// must not.
func (p *people) watchGone(ctx context.Context, edge, path, what string, acked moment) {
	due := acked + p.a.cfg.Bound + probeAfter
	for p.a.now() < due && p.askGone(ctx, edge, path, what, acked) {
		if !sleep.For(ctx, pollEvery) {
			return
		}
	}
	if sleep.For(ctx, due-p.a.now()) {
		p.askGone(ctx, edge, path, what, acked)
	}
}

// askGone reports whether an edge still shows what was taken away, which it may only within the bound.
// A stale copy counts only if the edge had time to learn of the change.
func (p *people) askGone(ctx context.Context, edge, path, what string, acked moment) (shown bool) {
	begin := p.a.now()
	answer, err := p.web.Get(ctx, http.MethodGet, edge, path, person.Session{})
	if err != nil || answer.Status != http.StatusOK {
		return err == nil && answer.Status >= 500
	}
	late, faults := begin-acked, p.a.faults
	stale := answer.Header.Get("X-Cache") == "stale"
	if late > p.a.checker.bound(acked, begin) && (!stale || faults.quiet(acked, begin) >= FaultBound) {
		p.violated("gone", edge+path, answer, begin, "it shows %s %v before the request", what, late)
		return false
	}
	return true
}

package audit

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// The ways to end sessions, as reports name them.
const (
	signOut       = "sign out"
	endOne        = "sign out one"
	endAll        = "sign out everywhere"
	newPassword   = "new password"
	deleteAccount = "delete account" // of somebody who came for that
	waysToRevoke  = 5
)

// revoke ends sessions of a member through one edge, and times how soon every edge refuses them: rule "ended". What the
// form does not end must go on: rule "kept".
func (p *people) revoke(ctx context.Context, m *member, draw *mathrand.Rand) {
	edge, before := p.edge(draw), m.browsers
	way := [waysToRevoke]string{signOut, endOne, endAll, newPassword, deleteAccount}[draw.IntN(waysToRevoke)]
	if way == deleteAccount {
		p.comeAndGo(ctx, edge)
		return
	}
	ended := before[:]
	done := false
	// What has begun is completed, so that its outcome is known.
	whole := context.WithoutCancel(ctx)
	switch way {
	case signOut:
		ended = before[1:]
		done = p.end(whole, edge, schema.PathSignOut, before[1], url.Values{})
	case endOne:
		ended = before[1:]
		done = p.end(whole, edge, schema.PrivateSessions.Path(), before[0], url.Values{"end": {idOf(before[1].Token)}})
	case endAll:
		done = p.end(whole, edge, schema.PrivateSessions.Path(), before[0], url.Values{"end": {"all"}})
	case newPassword:
		done = p.setPassword(whole, m, edge, before[0])
	}
	acked := p.a.now()
	if !done {
		m.browsers = [browsersEach]person.Session{} // whether they have ended is unknown
		p.failed(ctx, way, nil)
		return
	}
	for i := range m.browsers {
		if i >= browsersEach-len(ended) && m.browsers[i] == before[i] {
			m.browsers[i] = person.Session{}
		}
	}
	p.a.tally.revoked(way)
	p.time(ctx, m, way, ended, acked)
	for _, edge := range p.a.cfg.Edges {
		for _, s := range m.browsers {
			p.check(ctx, m, edge, s)
		}
	}
}

// end sends a form that ends sessions, until it is done.
func (p *people) end(ctx context.Context, edge, path string, as person.Session, form url.Values) bool {
	answer, err := p.post(ctx, edge, path, as, form)
	return err == nil && answer.Status == http.StatusSeeOther
}

// setPassword sets a new password, which gives the browser a new session and ends all others.
func (p *people) setPassword(ctx context.Context, m *member, edge string, as person.Session) bool {
	next := rand.Text()
	p.secrets.add(&secret{text: next, what: "a password"})
	form := url.Values{"old": {m.passwords[0]}, "password": {next}}
	m.passwords = []string{next, m.passwords[0]}
	answer, err := p.password(ctx, edge, schema.PrivatePassword, as, form)
	if err != nil || answer.Session.Token == "" {
		return false
	}
	m.passwords = m.passwords[:1]
	p.keep(m, 0, answer.Session)
	return true
}

// time requests a member's page with each of the ended sessions from every edge, until all refuse them. The time counts
// from the acknowledgement until the request was sent that the last edge refused.
func (p *people) time(ctx context.Context, m *member, way string, ended []person.Session, acked moment) {
	var mu sync.Mutex
	var all sync.WaitGroup
	worst := moment(0)
	for _, edge := range p.a.cfg.Edges {
		for _, s := range ended {
			p.probes.Go(func() { p.probe(ctx, m, edge, way, s, acked) })
			all.Go(func() {
				at := p.refusedAt(ctx, m, edge, way, s, acked)
				mu.Lock()
				defer mu.Unlock()
				worst = max(worst, at)
			})
		}
	}
	all.Wait()
	switch {
	case ctx.Err() != nil:
	case worst == never:
		p.a.tally.unrefused()
	default:
		p.a.tally.endedAt(worst-acked, p.a.faults.between(acked-FaultBound, worst))
	}
}

// refusedAt returns when the request was sent that an edge refused; never if it did not within pollLimit, or honoured
// the session after the bound, which is a violation.
func (p *people) refusedAt(ctx context.Context, m *member, edge, way string, s person.Session, acked moment) moment {
	for end := acked + pollLimit; p.a.now() < end && ctx.Err() == nil; sleep.For(ctx, pollEvery) {
		begin := p.a.now()
		refused, violated := p.askEnded(ctx, m, edge, way, s, acked)
		if refused {
			return begin
		}
		if violated {
			return never
		}
	}
	return never
}

// probe asks an edge once more, as soon as it must refuse. An edge that was frozen at the first request is asked for
// the first time then.
func (p *people) probe(ctx context.Context, m *member, edge, way string, s person.Session, acked moment) {
	if sleep.For(ctx, acked+p.a.cfg.Bound+probeAfter-p.a.now()) {
		p.askEnded(ctx, m, edge, way, s, acked)
	}
}

// probeAfter is the time from the bound to the probe.
const probeAfter = 10 * time.Millisecond

// askEnded requests a member's page with an ended session. It may only be honoured within the bound.
func (p *people) askEnded(ctx context.Context, m *member, edge, way string, s person.Session, acked moment) (
	refused, violated bool,
) {
	path, begin := schema.PrivateMe.Path(), p.a.now()
	answer, err := p.web.Get(ctx, http.MethodHead, edge, path, s)
	if err != nil || answer.Status >= 500 {
		return false, false
	}
	if answer.SignedOut() {
		return true, false
	}
	late := begin - acked
	if late <= p.a.checker.bound(acked, begin) {
		return false, false
	}
	p.violated("ended", edge+path, answer, begin,
		"the session of %s counts %v after it was ended: %s", m.name, late, way)
	return false, true
}

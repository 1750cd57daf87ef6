package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// NamePrefix begins the names of the people whom an audit signs up. The searches of its visitors, who search for
// "audit", do not find them: "killraudit" is one word.
const NamePrefix = "killraudit-"

const (
	browsersEach  = 2 // of each member
	peopleAtOnce  = 2 // members who are busy at once
	signUpsAtOnce = 20
	uploadsOnceIn = 2 // visits of a member
	cleanUpTime   = 30 * time.Second
)

// people are accounts that the audit makes, and what their browsers do: they see what only they may see, and end their
// sessions.
type people struct {
	a       *audit
	web     person.Client
	forms   *rate.Limiter // of forms with a password
	members []*member
	free    chan *member
	secrets *secrets
	leaks   leaks
	probes  sync.WaitGroup // of ended sessions, and of people who are gone

	guestsMu sync.Mutex
	guests   []string // names of accounts that the audit has made to delete them
}

// member is one of the audit's people. One goroutine at a time uses it, but for cookie.
type member struct {
	name    string
	address string // "": none
	// The password; while it is not known whether a new one was set, both, the likelier one first.
	passwords []string
	browsers  [browsersEach]person.Session
	cookie    atomic.Pointer[string] // of a browser, for visitors of pages that all share
	hidden    []int64                // photos that only they may see
	album     int64                  // their private album; 0: they have none
	// The title of the album.
	albumTitle string
	shows      bool // they show photos to all, and so their name
}

// newPeople returns people of whom nobody has an account yet.
func newPeople(a *audit) *people {
	return &people{
		a: a, web: person.Client{HTTP: a.client}, secrets: newSecrets(), free: make(chan *member, a.cfg.People),
		forms: rate.NewLimiter(rate.Limit(cmp.Or(a.cfg.SignIns, 1)), signUpsAtOnce),
	}
}

// signUpAll signs up n people.
func (p *people) signUpAll(ctx context.Context, n int) error {
	for i := range n {
		if err := p.signUp(ctx, i); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}

// codes finds the recovery codes on the page after a sign-up, keys the key of the form on a private page.
var (
	codes = regexp.MustCompile(`<code>([^<]+)</code>`)
	keys  = regexp.MustCompile(`name="key" value="([^"]+)"`)
)

func (p *people) signUp(ctx context.Context, i int) error {
	edge := p.a.cfg.Edges[i%len(p.a.cfg.Edges)]
	m := &member{name: NamePrefix + strings.ToLower(rand.Text()[:16]), passwords: []string{rand.Text()}}
	form := url.Values{"name": {m.name}, "password": {m.passwords[0]}, "key": {rand.Text()}}
	answer, err := p.password(ctx, edge, schema.PrivateSignUp, person.Session{}, form)
	if err == nil && answer.Status != http.StatusOK {
		err = errors.New(answered(answer))
	}
	if err != nil {
		return fmt.Errorf("sign up as %s at %s: %w", m.name, edge, err)
	}
	p.secrets.add(&secret{text: m.passwords[0], what: "a password"})
	if m.shows = i%2 == 0; !m.shows {
		p.secrets.add(&secret{text: m.name, what: "the name of somebody who is signed in", owner: m, onBus: true})
	}
	for _, code := range codes.FindAllSubmatch(answer.Body, -1) {
		p.secrets.add(&secret{text: string(code[1]), what: "a recovery code", owner: m})
	}
	p.keep(m, 0, answer.Session)
	p.members = append(p.members, m)
	p.free <- m
	return nil
}

// answered describes an answer that was not expected.
func answered(a *person.Answer) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", a.Status, http.StatusText(a.Status), a.Header.Get("Location")))
}

// password sends a form with a password, when that is allowed. It asks again, with the same key, while the edge answers
// that it cannot tell or that there were too many attempts.
func (p *people) password(ctx context.Context, edge string, kind schema.Private, as person.Session, form url.Values) (
	*person.Answer, error,
) {
	if err := p.forms.Wait(ctx); err != nil {
		return nil, err
	}
	return p.post(ctx, edge, kind.Path(), as, form)
}

// post sends a form until there is an answer that tells what became of it.
func (p *people) post(ctx context.Context, edge, path string, as person.Session, form url.Values) (
	*person.Answer, error,
) {
	return p.until(ctx, func(ctx context.Context) (*person.Answer, error) {
		return p.web.Post(ctx, edge, path, as, form)
	})
}

// until sends a request again and again until there is an answer that tells what became of it.
func (p *people) until(ctx context.Context, send func(context.Context) (*person.Answer, error)) (
	answer *person.Answer, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	for {
		answer, err = send(ctx)
		wait := 50 * time.Millisecond
		switch {
		case err != nil, answer.Status >= 500:
		case answer.Status == http.StatusTooManyRequests:
			seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
			wait = time.Duration(max(1, seconds)) * time.Second
		default:
			return answer, nil
		}
		if err == nil {
			err = errors.New(answered(answer))
		}
		if !sleep.For(ctx, wait) {
			return nil, err
		}
	}
}

// keep gives a browser of a member a session.
func (p *people) keep(m *member, browser int, s person.Session) {
	m.browsers[browser] = s
	if s.Token == "" {
		return
	}
	m.cookie.Store(&s.Cookie)
	p.secrets.add(
		&secret{text: s.Token, what: "the token of a session", owner: m},
		&secret{text: idOf(s.Token), what: "the id of a session", owner: m},
	)
}

// idOf is the id of the session with a token, as the list of sessions has it.
func idOf(token string) string {
	hash := sha256.Sum256([]byte(token))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(hash[:]))
}

// run lets people come one after the other, until ctx ends.
func (p *people) run(ctx context.Context) {
	var all sync.WaitGroup
	for n := range min(peopleAtOnce, len(p.members)) {
		all.Go(func() {
			draw := mathrand.New(mathrand.NewPCG(p.a.cfg.Seed, uint64(n)<<8|drawPerson))
			for ctx.Err() == nil {
				m := <-p.free
				p.come(ctx, m, draw)
				p.free <- m
			}
		})
	}
	all.Wait()
	p.probes.Wait()
}

// come is what a member does: sign in where signed out, look at private pages, and end a session.
func (p *people) come(ctx context.Context, m *member, draw *mathrand.Rand) {
	for i := range m.browsers {
		if m.browsers[i].Token == "" && !p.signIn(ctx, m, i, p.edge(draw)) {
			sleep.For(ctx, 100*time.Millisecond)
			return
		}
	}
	for i, edge := range p.a.cfg.Edges {
		for _, s := range m.browsers {
			p.check(ctx, m, edge, s)
		}
		kind := looked[draw.IntN(len(looked))]
		p.look(ctx, m, edge, kind.Path(), m.browsers[i%browsersEach])
		p.lookAsNobody(ctx, m, edge)
	}
	if draw.IntN(uploadsOnceIn) == 0 {
		p.bringPhotos(ctx, m, draw)
	}
	p.share(ctx, m, draw)
	p.revoke(ctx, m, draw)
}

// looked are the private pages that a member looks at.
var looked = []schema.Private{
	schema.PrivateMe, schema.PrivateProfile, schema.PrivateSessions, schema.PrivatePassword, schema.PrivatePhotos,
}

// open are the private pages that anybody may look at.
var open = []schema.Private{schema.PrivateSignIn, schema.PrivateSignUp, schema.PrivateRecover}

func (p *people) edge(draw *mathrand.Rand) string {
	return p.a.cfg.Edges[draw.IntN(len(p.a.cfg.Edges))]
}

// signIn begins a session in a browser. It tries the passwords that may hold.
func (p *people) signIn(ctx context.Context, m *member, browser int, edge string) bool {
	for _, password := range slices.Clone(m.passwords) {
		form := url.Values{"name": {m.name}, "password": {password}}
		answer, err := p.password(ctx, edge, schema.PrivateSignIn, person.Session{}, form)
		if err != nil {
			p.failed(ctx, "sign in", err)
			return false
		}
		if answer.Session.Token == "" {
			continue
		}
		m.passwords = []string{password}
		p.keep(m, browser, answer.Session)
		p.a.tally.signedIn()
		return true
	}
	p.failed(ctx, "sign in", fmt.Errorf("%s: no password holds", m.name))
	return false
}

// failed counts a form without an outcome.
func (p *people) failed(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		p.a.tally.failed(what)
		p.a.log.Debug("a form has no outcome", "form", what, "err", err)
	}
}

// check asks an edge for a member's page, which it must not refuse: rule "kept".
func (p *people) check(ctx context.Context, m *member, edge string, s person.Session) {
	if s.Token == "" {
		return
	}
	begin := p.a.now()
	answer, err := p.web.Get(ctx, http.MethodHead, edge, schema.PrivateMe.Path(), s)
	if err != nil || !answer.SignedOut() {
		return
	}
	p.violated("kept", edge+schema.PrivateMe.Path(), answer, begin,
		"the session of %s is refused, though nobody has ended it", m.name)
}

// look requests a private page of a member and checks that it is theirs.
func (p *people) look(ctx context.Context, m *member, edge, path string, s person.Session) {
	begin := p.a.now()
	answer := p.get(ctx, m, edge, path, s)
	if answer == nil || answer.Status != http.StatusOK {
		return
	}
	if key := keys.FindSubmatch(answer.Body); key != nil {
		p.secrets.add(&secret{text: string(key[1]), what: "the key of a form", owner: m})
	}
	p.countAddress(m, path, answer.Body)
	if !strings.Contains(string(answer.Body), m.name) && path != schema.PrivateSessions.Path() {
		p.violated("secret", edge+path, answer, begin, "the page is not that of %s", m.name)
	}
}

// lookAsNobody requests pages as a visitor who is not signed in, after a member's browser has said where it came from.
func (p *people) lookAsNobody(ctx context.Context, m *member, edge string) {
	from := rand.Text()
	p.secrets.add(&secret{text: from, what: "the address that somebody came from", owner: m})
	query := url.Values{"next": {"/" + from}}
	p.get(ctx, m, edge, schema.PrivateSignIn.Path()+"?"+query.Encode(), person.Session{})
	p.get(ctx, nil, edge, schema.PrivateMe.Path(), person.Session{})
	for _, kind := range open {
		p.get(ctx, nil, edge, kind.Path(), person.Session{})
	}
}

// get requests a private page for a member, or for nobody, and checks that it has no secret of others and may not be
// kept. It returns nil if there is no answer.
func (p *people) get(ctx context.Context, who *member, edge, path string, s person.Session) *person.Answer {
	begin := p.a.now()
	answer, err := p.web.Get(ctx, http.MethodGet, edge, path, s)
	if err != nil {
		return nil
	}
	p.leaks.private.Add(1)
	text := appendFields(answer.Body, answer.Header)
	if found := p.secrets.find(text, seenBy(who)); found != nil {
		p.violated("secret", edge+path, answer, begin, "it has %s%s", found.what, found.of())
	}
	if kept := answer.Header.Get("Cache-Control"); answer.Status < 400 && !strings.Contains(kept, "no-store") {
		p.violated("secret", edge+path, answer, begin, "its Cache-Control is %q: caches may keep it", kept)
	}
	return answer
}

// of says whose a secret is.
func (one *secret) of() string {
	if one.owner == nil {
		return ""
	}
	return " (" + one.owner.name + ")"
}

// appendFields appends the values of header fields to a body.
func appendFields(body []byte, header http.Header) []byte {
	for _, values := range header {
		for _, value := range values {
			body = append(append(body, '\n'), value...)
		}
	}
	return body
}

func (p *people) violated(rule, url string, answer *person.Answer, begin moment, format string, args ...any) {
	p.a.tally.violated(Violation{
		Rule: rule, What: fmt.Sprintf(format, args...), URL: url, Request: answer.Header.Get("X-Request-Id"),
		Status: answer.Status, Cache: answer.Header.Get("X-Cache"), Depends: answer.Header.Get("X-Depends"),
		Begun: begin, Ended: p.a.now(),
	})
}

// visitorAt returns the member as whom the n-th visitor of shared pages is signed in; nil: nobody. They take turns, so
// that each edge has visitors of both kinds.
func (p *people) visitorAt(n int) *member {
	if len(p.members) == 0 || (n+n/len(p.a.cfg.Edges))%2 == 0 {
		return nil
	}
	return p.members[n%len(p.members)]
}

// sum completes the report on people.
func (p *people) sum(r People) People {
	r.Accounts, r.Secrets = len(p.members), p.secrets.count()
	r.Shared, r.Private = p.leaks.shared.Load(), p.leaks.private.Load()
	r.Items, r.Messages = p.leaks.items.Load(), p.leaks.messages.Load()
	r.Addresses = p.leaks.addresses.Load()
	r.Large, r.Lost, r.Unread = p.leaks.large.Load(), p.leaks.lost.Load(), p.leaks.unread.Load()
	return r
}

package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Private pages and forms. They never pass a cache: their identity is a [page.Private], which no cache takes, and each
// is requested from a renderer for one visitor.

// Bounds of forms with a password in a minute, at all edges together.
const (
	guessesOfAccount = 10 // at the password of one account
	// formsOfSite bounds sign-ups, and recoveries, of everybody where addresses are not counted. Each costs a renderer
	// 25 or 50 ms of hashing, so both together take at most three quarters of one worker for passwords.
	formsOfSite = 600
)

// submitTime bounds a form: reading it (30 s), its action (15 s) and what it does to sessions.
const submitTime = time.Minute

var (
	cachePrivate    = []string{"private, no-store"}
	referrerPrivate = []string{"same-origin"} // no other site hears of an address that may have a token in it
)

// visitor is who sent a request for a private page.
type visitor struct {
	session.Visitor      // Session is nil if nobody is signed in
	planted         bool // the browser sent a cookie that is no session's
	twice           bool // the browser sent several
	malformed       bool // the cookie can be no session's

	origin, browser string // for passkeys, see passkeyVisit, and links; "" on pages without
}

// visitor finds out who sent a request, and renews the cookies when it is time.
func (s *Server) visitor(w http.ResponseWriter, r *http.Request) (visitor, error) {
	token, count := session.Token(r.Header["Cookie"], session.Cookie(s.secureFor(r)))
	switch {
	case count == 0:
		return visitor{}, nil
	case count > 1:
		return visitor{planted: true, twice: true}, nil
	}
	found, renewed, err := s.sessions.Find(r.Context(), token)
	if errors.Is(err, session.ErrNone) || err == nil && found.Token != "" { // an API token is no cookie
		return visitor{planted: true, malformed: !session.IsToken(token)}, nil
	}
	if err != nil {
		return visitor{}, err
	}
	if renewed {
		s.setSession(w, r, token, found.Name)
	}
	return visitor{Visitor: found}, nil
}

// isPrivate reports whether a path is that of a private page or form.
func isPrivate(path string) (ref page.PrivateRef, signOut, ok bool) {
	if path == page.PathSignOut {
		return page.PrivateRef{}, true, true
	}
	ref, ok = page.ParsePrivate(path)
	return ref, false, ok
}

// logged is what the log of answers has of a path and query: the query only of pages for everybody. That of a private
// page, in whatever spelling, may be secret.
func logged(target string) string {
	path, _, hasQuery := strings.Cut(target, "?")
	if !hasQuery {
		return hidden(target)
	}
	if _, err := page.ParsePath(target); err != nil {
		return hidden(path)
	}
	return target
}

// methodsOf returns the methods that a path takes.
func methodsOf(path string) string {
	if share, ok := page.ParseShare(path); ok && share.Photo == 0 {
		return "GET, HEAD, POST"
	}
	switch ref, signOut, ok := isPrivate(path); {
	case signOut:
		return "POST"
	case ok && !isReceipt(ref.Private) && ref.Private != page.PrivatePicture:
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// private answers a request for a private page, or a form. If it returns an error it has written nothing.
func (s *Server) private(
	w http.ResponseWriter, r *http.Request, x *exchange, ref page.PrivateRef, signOut bool,
) error {
	kind := ref.Private
	if token, ok := session.Bearer(r.Header); ok {
		return s.forToken(w, r, x, ref, signOut, token)
	}
	write := r.Method == http.MethodPost
	if !write && (signOut || r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return errMethod
	}
	if !write && hasBody(r) {
		return errBody
	}
	who, err := s.visitor(w, r)
	if err != nil {
		return err
	}
	if write {
		if err := s.checkOrigin(r, who.Session != nil || who.planted); err != nil {
			return err
		}
	}
	if who.twice || who.malformed { // one that is not found now may be found when the bucket was made anew
		s.clearSession(w, r)
	}
	if kind == page.PrivateShares || kind == page.PrivatePhoto || kind == page.PrivateAlbum {
		who.origin = s.originOf(r) // with which links begin
	}
	if takesPasskeys(kind) && !signOut {
		who.origin, who.browser = s.passkeyVisit(w, r)
	}
	if write && kind != page.PrivateUpload { // a visitor who disconnects does not stop half-way what has begun
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), submitTime)
		defer cancel()
		r = r.WithContext(ctx)
	}
	switch {
	case signOut:
		return s.signOut(w, r, x, who)
	case who.Session == nil && kind.NeedsSession() && !(write && kind == page.PrivateDelete):
		// A deletion that is sent again has no session any more, and finds its receipt by its key.
		s.seeOther(w, x, signInPath(pathOf(ref, r.URL.Query()), who.twice))
		return nil
	case write && who.Unverified:
		return fmt.Errorf("%w: the session cannot be checked", wire.ErrUnavailable)
	case write && kind == page.PrivateUpload:
		return s.submitFiles(w, r, x, who)
	case write:
		err := s.submit(w, r, x, ref, who)
		if outcome := signInOutcome(kind, x.status, err); outcome != "" {
			s.metrics.signIns.WithLabelValues(outcome).Inc()
		}
		return err
	case who.Session != nil && !kind.NeedsSession() && !byLink(kind) && kind != page.PrivateReceipt:
		s.seeOther(w, x, page.PrivateMe.Path())
		return nil
	}
	query := r.URL.Query()
	ask := wire.PrivateRequest{Key: rand.Text(), Next: localPath(query.Get("next")), Notice: query.Get("notice"),
		Receipt: query.Get("id"), JSON: isReceipt(kind) && wantsJSON(r), Values: valuesOf(ref, query)}
	return s.show(w, r, x, kind, who, ask, http.StatusOK)
}

// signInPath is the path of the form for signing in, which leads to next.
func signInPath(next string, twice bool) string {
	query := url.Values{"next": {next}}
	if twice {
		query.Set("notice", wire.NoticeCookies)
	}
	return page.PrivateSignIn.Path() + "?" + query.Encode()
}

// show answers with a private page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, x *exchange, kind page.Private, who visitor,
	ask wire.PrivateRequest, status int) error {
	if !takesNext(kind) {
		ask.Next = ""
	}
	if fromOtherSite(r) { // a link must not be able to say that a password was changed
		ask.Notice = ""
	}
	if kind == page.PrivateTokens || kind == page.PrivateDelete {
		all, err := s.sessions.Tokens(r.Context(), who.User)
		if err != nil {
			return err
		}
		for _, one := range all {
			ask.Tokens = append(ask.Tokens, wire.OwnToken{ID: one.ID, Name: one.Token, Write: one.Write,
				Created: one.Created, Seen: one.Seen})
		}
	}
	if kind == page.PrivateSessions || kind == page.PrivateDelete {
		all, err := s.sessions.List(r.Context(), who.User)
		if err != nil {
			return err
		}
		for _, one := range all {
			ask.Sessions = append(ask.Sessions, wire.OwnSession{ID: one.ID, Agent: one.Agent, Created: one.Created,
				Seen: one.Seen, Current: one.ID == who.ID})
		}
	}
	data, err := ask.Encode()
	if err != nil {
		return fmt.Errorf("ask for %s: %w", kind.Subject(), err)
	}
	var reply *nats.Msg
	if kind == page.PrivatePicture {
		reply, err = s.askForPicture(r.Context(), x, kind.Subject(), who, data)
	} else {
		reply, err = s.askFor(r.Context(), x, kind.Subject(), who, nats.Header{}, data, wire.PageDeadline)
	}
	if err != nil {
		return err
	}
	if err = wire.ErrorOf(reply); err != nil {
		return s.unlessNobody(w, r, x, kind, err)
	}
	s.sendPrivate(w, r, x, reply.Data, typeOf(kind, ask), status)
	return nil
}

// isReceipt reports whether a page is a receipt, which takes no form, and which programs get as JSON.
func isReceipt(kind page.Private) bool {
	return kind == page.PrivateReceipt || kind == page.PrivatePhotoReceipt
}

// isAboutOne reports whether a page is about one photo, album or deletion, which may be none.
func isAboutOne(kind page.Private) bool {
	return kind.AboutPhoto() || kind.AboutAlbum() || kind == page.PrivatePhotoReceipt
}

// unlessNobody returns an error, unless it says that there is no such user any more. Then the visitor must sign in. Of
// a page about one thing it says that there is none.
func (s *Server) unlessNobody(
	w http.ResponseWriter, r *http.Request, x *exchange, kind page.Private, err error,
) error {
	if !kind.NeedsSession() || isAboutOne(kind) || !errors.Is(err, wire.ErrNotFound) {
		return err
	}
	s.clearSession(w, r)
	s.seeOther(w, x, signInPath(kind.Path(), false))
	return nil
}

// wantsJSON reports whether a program asks, and not a browser.
func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

var (
	typeHTML = []string{"text/html; charset=utf-8"}
	typeJSON = []string{"application/json"}
	typeJPEG = []string{"image/jpeg"}
)

// typeOf is the Content-Type of what a renderer was asked for.
func typeOf(kind page.Private, ask wire.PrivateRequest) []string {
	switch {
	case ask.JSON:
		return typeJSON
	case kind == page.PrivatePicture:
		return typeJPEG
	}
	return typeHTML
}

// askFor makes a request for one visitor on the bus.
func (s *Server) askFor(ctx context.Context, x *exchange, subject string, who visitor, header nats.Header, data []byte,
	limit time.Duration) (*nats.Msg, error) {
	msg := messageFor(x, subject, who, header, data)
	return x.onBus(func() (*nats.Msg, error) { return s.pages.renderers.ask(ctx, msg, limit) })
}

// askForPicture requests a picture for one visitor.
func (s *Server) askForPicture(
	ctx context.Context, x *exchange, subject string, who visitor, data []byte,
) (*nats.Msg, error) {
	msg := messageFor(x, subject, who, nats.Header{}, data)
	return x.onBus(func() (*nats.Msg, error) { return s.pages.renderers.picture(ctx, msg) })
}

// messageFor is a request for one visitor.
func messageFor(x *exchange, subject string, who visitor, header nats.Header, data []byte) *nats.Msg {
	mark(header, x.number, x.trace)
	if who.Session != nil {
		header.Set(wire.HeaderUser, strconv.FormatInt(who.User, 10))
	}
	if who.origin != "" {
		header.Set(wire.HeaderOrigin, who.origin)
	}
	if who.browser != "" {
		header.Set(wire.HeaderBrowser, who.browser)
	}
	return &nats.Msg{Subject: subject, Header: header, Data: data}
}

// onBus notes how long a request on the bus takes, and what its reply says of that.
func (x *exchange) onBus(ask func() (*nats.Msg, error)) (*nats.Msg, error) {
	begun := time.Now()
	reply, err := ask()
	x.timing.bus = time.Since(begun)
	if err == nil {
		x.tier, x.timing.worker = tierRender, wire.ParseTiming(reply.Header.Get(wire.HeaderTiming))
	}
	return reply, err
}

// sendPrivate answers with what was made for one visitor.
func (s *Server) sendPrivate(
	w http.ResponseWriter, r *http.Request, x *exchange, body []byte, contentType []string, status int,
) {
	h := w.Header()
	x.status = status
	x.writeHeaders(h)
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	s.secureFields(h)
	if contentType[0] == typeJPEG[0] { // a browser shows it on a page of its own, whose style the policy would forbid
		h.Del("Content-Security-Policy")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		x.bytes, x.cut = writeBody(w, body)
	}
}

// secureFields sets the header fields that every answer about a person has. A Referrer-Policy that is set stays.
func (s *Server) secureFields(h http.Header) {
	policy, ok := h["Referrer-Policy"]
	if !ok {
		policy = referrerPrivate
	}
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = cachePrivate
	s.secure(func(name string, value []string) { h[name] = value })
	h["Referrer-Policy"] = policy
}

// seeOther has the browser go to a path by GET.
func (s *Server) seeOther(w http.ResponseWriter, x *exchange, path string) {
	h := w.Header()
	x.status = http.StatusSeeOther
	x.writeHeaders(h)
	h.Set("Location", path)
	s.secureFields(h)
	w.WriteHeader(x.status)
}

// pageStatus returns the status of the page in a reply. It is false for a reply without a page.
func pageStatus(reply *nats.Msg) (int, bool) {
	status, err := strconv.Atoi(reply.Header.Get(wire.HeaderStatus))
	return status, err == nil && status >= 200 && status < 600
}

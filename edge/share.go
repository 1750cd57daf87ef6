package edge

import (
	"context"
	"crypto/rand"
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

// Pages and pictures that whoever has a link sees. They pass no cache: a renderer makes each for one visitor, so a link
// that is revoked shows nothing from that moment on. The token of a link is on no message, and in no log.

var (
	referrerShare = []string{"strict-origin"} // no site, not even this one, hears of an address with a token in it
	robotsShare   = []string{"noindex, nofollow, noarchive"}
)

// Bounds of guesses at the password of a link in a minute, at all edges together. One visitor who guesses does not keep
// others out: an address is refused long before the link is.
const (
	guessesOfLink   = 100              // by all visitors
	guessesOfOpener = guessesOfAccount // by one address
	// opensOfSite bounds those of all links where addresses are not counted. Each costs a renderer 25 ms of hashing,
	// so they take an eighth of one worker for passwords.
	opensOfSite = 300
)

// maxGrants bounds the cookies of a visitor that may have opened a link. A page of another subdomain can plant some.
const maxGrants = 16

// grantAge is how long a browser keeps the cookie that says that the password of a link was given.
const grantAge = 30 * 24 * time.Hour

// share answers a request for a share. If it returns an error it has written nothing.
func (s *Server) share(w http.ResponseWriter, r *http.Request, x *exchange, share page.Share) error {
	h := w.Header() // of errors, too
	h["Referrer-Policy"], h["X-Robots-Tag"] = referrerShare, robotsShare
	opens := r.Method == http.MethodPost && share.Photo == 0
	switch {
	case opens && share.Add:
		return s.addByForm(w, r, x, share)
	case !opens && r.Method != http.MethodGet && r.Method != http.MethodHead:
		return errMethod
	case !opens && hasBody(r):
		return errBody
	case opens:
		if err := s.checkOrigin(r, false); err != nil {
			return err
		}
		return s.openShare(w, r, x, share)
	}
	query := r.URL.Query()
	return s.showShare(w, r, x, share, wire.ShareRequest{Photo: share.Photo, Width: share.Width, Add: share.Add,
		Key:   rand.Text(),
		After: position(query.Get("after")), Before: position(query.Get("before"))}, http.StatusOK)
}

// position reads a position in an album; what is none is 0, the first page.
func position(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// showShare answers with a page or a picture.
func (s *Server) showShare(
	w http.ResponseWriter, r *http.Request, x *exchange, share page.Share, ask wire.ShareRequest, status int,
) error {
	if ask.After > 0 { // only one of them counts
		ask.Before = 0
	}
	reply, err := s.askShare(r, x, share, ask)
	if err != nil {
		return err
	}
	contentType := typeHTML
	if share.Width != 0 {
		contentType = typeJPEG
	}
	s.sendPrivate(w, r, x, reply.Data, contentType, status)
	return nil
}

// askShare asks a renderer for a page or a picture of a share.
func (s *Server) askShare(r *http.Request, x *exchange, share page.Share, ask wire.ShareRequest) (*nats.Msg, error) {
	data, err := ask.Encode()
	if err != nil {
		return nil, err
	}
	msg := &nats.Msg{Subject: wire.SubjectSharePage, Header: s.shareHeader(r, x, share), Data: data}
	reply, err := x.onBus(func() (*nats.Msg, error) {
		if share.Width == 0 {
			return s.pages.renderers.ask(r.Context(), msg, wire.PageDeadline)
		}
		msg.Subject = wire.SubjectSharePicture
		return s.pages.renderers.picture(r.Context(), msg)
	})
	if err != nil {
		return nil, err
	}
	return reply, wire.ErrorOf(reply)
}

// shareHeader is the header of a request about a share.
func (s *Server) shareHeader(r *http.Request, x *exchange, share page.Share) nats.Header {
	header := nats.Header{wire.HeaderShare: {share.ID()}}
	mark(header, x.number, x.trace)
	for _, grant := range session.Values(r.Header["Cookie"], grantCookie(s.secureFor(r)), maxGrants) {
		if wire.ValidKey(grant) {
			header.Add(wire.HeaderGrant, grant)
		}
	}
	return header
}

// grantCookie returns the name of the cookie that says that the password of a link was given. Its path is that of the
// link.
func grantCookie(secure bool) string {
	if secure {
		return "__Secure-share"
	}
	return "share"
}

// openShare checks the password of a link, which a form has, and has the browser remember that it was right.
func (s *Server) openShare(w http.ResponseWriter, r *http.Request, x *exchange, share page.Share) error {
	form, key, err := s.readForm(w, r)
	if err != nil {
		return err
	}
	if err := checkKey(key); err != nil {
		return err
	}
	// A token that somebody makes up costs a row that is not found: nothing is counted or hashed for it.
	if _, err := s.askShare(r, x, share, wire.ShareRequest{Exists: true}); err != nil {
		return err
	}
	next := share
	if form.Get("next") == share.AddPage().Path() { // a form leads nowhere else
		next = share.AddPage()
	}
	bounds, err := shareBounds(share, r.RemoteAddr, s.cfg.AddressGuesses)
	if err != nil {
		return err
	}
	wait, err := s.takeGuesses(r.Context(), bounds)
	if err != nil {
		return err
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return s.showShare(w, r, x, share, wire.ShareRequest{Key: key, Wait: wait, Add: next.Add},
			http.StatusTooManyRequests)
	}
	header := s.shareHeader(r, x, share)
	header.Set(wire.HeaderKey, key)
	fields := url.Values{"password": {form.Get("password")}}
	if next.Add {
		fields.Set("add", "1")
	}
	msg := &nats.Msg{Subject: wire.ActionSubject(wire.ActionShareOpen), Header: header,
		Data: []byte(fields.Encode())}
	ctx, cancel := context.WithTimeout(r.Context(), submitTime)
	defer cancel()
	reply, err := x.onBus(func() (*nats.Msg, error) {
		return s.pages.renderers.ask(ctx, msg, wire.ActionDeadline)
	})
	if err != nil {
		return err
	}
	if err := wire.ErrorOf(reply); err != nil {
		if status, ok := pageStatus(reply); ok {
			s.sendPrivate(w, r, x, reply.Data, typeHTML, status)
			return nil
		}
		return err
	}
	if grant := reply.Header.Get(wire.HeaderGrant); grant != "" {
		secure := s.secureFor(r)
		http.SetCookie(w, &http.Cookie{Name: grantCookie(secure), Value: grant, Path: share.Path(), Secure: secure,
			MaxAge: int(grantAge.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	s.seeOther(w, x, next.Path())
	return nil
}

// shareBounds lists what a guess of the password of a link counts for, in the order in which it is counted: the
// visitor's address, that address at the link, and the link; where addresses are not counted, the link and the site.
// remoteAddr and addressLimit are as in guessBounds.
func shareBounds(share page.Share, remoteAddr string, addressLimit int) ([]guessBound, error) {
	link := guessBound{"share " + share.ID(), guessesOfLink}
	if addressLimit <= 0 {
		return []guessBound{link, {"site share", opensOfSite}}, nil
	}
	bounds, err := addressBound(nil, remoteAddr, addressLimit)
	if err != nil {
		return nil, err
	}
	return append(bounds, guessBound{link.what + " " + bounds[0].what, guessesOfOpener}, link), nil
}

// hidden replaces in a path what follows "/s/", in whatever spelling, because it is or may be the token of a link.
func hidden(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	for end := len(page.PathShares); end <= len(plain); end++ {
		if strings.EqualFold(plain[end-len(page.PathShares):end], page.PathShares) {
			return plain[:end] + "…"
		}
	}
	return path
}

package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// signOut ends the session that a form was sent with.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, x *exchange, who visitor) error {
	if who.Session != nil {
		if err := s.sessions.SignOut(r.Context(), who.Visitor); err != nil {
			return err
		}
	}
	s.clearSession(w, r)
	s.seeOther(w, x, page.Home().Path())
	return nil
}

// signIn begins a session for the account in a reply. The one that the browser has had ends. After a new password all
// others end, too, because they began with an earlier one.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, who visitor, reply *nats.Msg) error {
	account, err := wire.ParseAccount(reply.Header.Get(wire.HeaderAccount))
	if err != nil {
		return err
	}
	token, err := s.sessions.Begin(r.Context(), account, r.UserAgent())
	if err != nil {
		return err
	}
	if who.Session != nil {
		if err := s.sessions.SignOut(r.Context(), who.Visitor); err != nil {
			return err
		}
	}
	s.setSession(w, r, token, account.Name)
	return nil
}

// leave shows somebody who has deleted their account the receipt, without a session. If theirs cannot be ended now, the
// relay ends them.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, x *exchange, who visitor, receipt string) {
	if who.Session != nil {
		if err := s.sessions.EndAll(r.Context(), who.User); err != nil {
			s.log.Warn("the sessions of a deleted account are left to the relay", "request", x.number.String(),
				"err", err)
		}
	}
	s.clearSession(w, r)
	s.seeOther(w, x, page.PrivateReceipt.Path()+"?"+url.Values{"id": {receipt}}.Encode())
}

// endSessions ends one of a person's sessions, by its id, or "all".
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request, x *exchange, who visitor, which string) error {
	var err error
	if which == "all" {
		err = s.sessions.EndAll(r.Context(), who.User)
	} else {
		err = s.sessions.End(r.Context(), who.User, which)
	}
	if err != nil && !errors.Is(err, session.ErrNone) {
		return err
	}
	if which == "all" || which == who.ID {
		s.clearSession(w, r)
		s.seeOther(w, x, page.Home().Path())
		return nil
	}
	notice := wire.NoticeEnded
	if err != nil {
		notice = wire.NoticeNoSession
	}
	s.seeOther(w, x, page.PrivateSessions.Path()+"?"+url.Values{"notice": {notice}}.Encode())
	return nil
}

// countGuess counts a form that has a password checked or hashed, or a mail sent. wait is for how long no further one
// is allowed.
func (s *Server) countGuess(r *http.Request, kind page.Private, who visitor, form url.Values) (
	time.Duration, error,
) {
	bounds, err := guessBounds(kind, who, form, r.RemoteAddr, s.cfg.AddressGuesses)
	if err != nil {
		return 0, err
	}
	return s.takeGuesses(r.Context(), bounds)
}

// takeGuesses counts a guess for each of some bounds. wait is for how long no further one is allowed.
func (s *Server) takeGuesses(ctx context.Context, bounds []guessBound) (wait time.Duration, err error) {
	for _, b := range bounds { // at an account that is full, an address is not counted
		if wait := s.limits.Full(b.what); wait > 0 {
			return wait, nil
		}
	}
	for _, b := range bounds {
		if wait, err := s.limits.Take(ctx, b.what, b.limit); wait > 0 || err != nil {
			return wait, err
		}
	}
	return 0, nil
}

// guessBound is how often a minute a form may be sent for an account, an address or the whole site.
type guessBound struct {
	what  string
	limit int
}

// guessBounds lists what a form counts for. The old password in a change counts for the user, apart from sign-ins, so
// that nobody else keeps the owner from it. A recovery does not count for the account at all: nobody guesses 80 bits.
// A form that has a mail sent counts for the address that the mail is for, too. remoteAddr has the port; addressLimit
// is negative if all visitors have the address of a proxy.
func guessBounds(kind page.Private, who visitor, form url.Values, remoteAddr string, addressLimit int) (
	[]guessBound, error,
) {
	var own []string // what the form counts for besides an address
	user := ""
	if who.Session != nil {
		user = strconv.FormatInt(who.User, 10)
	}
	switch kind {
	case page.PrivateRecover, page.PrivateReset:
	case page.PrivateSignUp:
		if email := wire.FoldName(form.Get("email")); email != "" {
			own = append(own, "mail "+email)
		}
	case page.PrivateMailLink:
		own = append(own, "mail "+wire.FoldName(form.Get("name")))
	case page.PrivateSignIn:
		if name := wire.FoldName(form.Get("name")); name != "" {
			own = append(own, "account "+name)
		}
	case page.PrivatePassword, page.PrivateDelete, page.PrivateCodes, page.PrivateNewPasskey, page.PrivateEmail,
		page.PrivateTokens, page.PrivateConfirm:
		what := "password "
		switch {
		case kind == page.PrivateTokens && form.Has("end"):
			what = "tokens "
		case kind == page.PrivateConfirm:
			what = "confirm "
		}
		if user != "" {
			own = append(own, what+user)
		}
		if email := wire.FoldName(form.Get("email")); kind == page.PrivateEmail && email != "" {
			own = append(own, "mail "+email)
		}
	case page.PrivateShares:
		if form.Get("password") == "" {
			return nil, nil
		}
		own = append(own, "shares "+user)
	default:
		return nil, nil
	}
	var bounds []guessBound
	switch {
	case addressLimit > 0:
		var err error
		if bounds, err = addressBound(nil, remoteAddr, addressLimit); err != nil {
			return nil, err
		}
	case kind == page.PrivateSignIn: // by a passkey nothing is hashed
	case len(own) == 0 || kind == page.PrivateMailLink || kind == page.PrivateSignUp:
		bounds = append(bounds, guessBound{"site " + kind.String(), formsOfSite})
	}
	for _, what := range own {
		bounds = append(bounds, guessBound{what, guessesOfAccount})
	}
	return bounds, nil
}

// addressBound appends to bounds that of a visitor's address; none where addresses are not counted.
func addressBound(bounds []guessBound, remoteAddr string, limit int) ([]guessBound, error) {
	if limit <= 0 {
		return bounds, nil
	}
	from, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return nil, fmt.Errorf("the address of a visitor: %w", err)
	}
	return append(bounds, guessBound{"address " + network(from.Addr()).String(), limit}), nil
}

// Outcomes of a sign-in, as a metric has them.
const (
	signInOK          = "ok"
	signInWrong       = "wrong"
	signInLimited     = "limited"
	signInUnavailable = "unavailable" // the site could not tell; the visitor tries again
)

// signInOutcome is what became of a form to sign in that was answered with a status, or failed with an error. "": it is
// another form, or one that no page of the site sends.
func signInOutcome(kind page.Private, status int, err error) string {
	if err != nil {
		status = statusOf(err)
	}
	switch {
	case kind != page.PrivateSignIn:
	case status == http.StatusSeeOther:
		return signInOK
	case status == http.StatusUnprocessableEntity, status == http.StatusConflict: // a new password was set meanwhile
		return signInWrong
	case status == http.StatusTooManyRequests:
		return signInLimited
	case status >= 500:
		return signInUnavailable
	}
	return ""
}

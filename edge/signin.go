package edge

import (
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
	s.seeOther(w, x, page.PrivateSessions.Path()+"?"+url.Values{"notice": {wire.NoticeEnded}}.Encode())
	return nil
}

// countGuess counts a form that has a password checked or hashed. wait is for how long no further one is allowed.
func (s *Server) countGuess(r *http.Request, kind page.Private, who visitor, name string) (time.Duration, error) {
	bounds, err := guessBounds(kind, who, name, r.RemoteAddr, s.cfg.AddressGuesses)
	if err != nil {
		return 0, err
	}
	for _, b := range bounds { // at an account that is full, an address is not counted
		if wait := s.limits.Full(b.what); wait > 0 {
			return wait, nil
		}
	}
	for _, b := range bounds {
		if wait, err := s.limits.Take(r.Context(), b.what, b.limit); wait > 0 || err != nil {
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
// remoteAddr has the port; addressLimit is negative if all visitors have the address of a proxy.
func guessBounds(kind page.Private, who visitor, name, remoteAddr string, addressLimit int) ([]guessBound, error) {
	account := ""
	switch kind {
	case page.PrivateSignUp, page.PrivateRecover, page.PrivateReset, page.PrivateConfirm:
	case page.PrivateMailLink:
		account = "mail " + wire.FoldName(name)
	case page.PrivateSignIn:
		if name = wire.FoldName(name); name != "" {
			account = "account " + name
		}
	case page.PrivatePassword, page.PrivateNewPasskey, page.PrivateEmail:
		account = "password " + strconv.FormatInt(who.User, 10)
	default:
		return nil, nil
	}
	var bounds []guessBound
	switch {
	case addressLimit > 0:
		from, err := netip.ParseAddrPort(remoteAddr)
		if err != nil {
			return nil, fmt.Errorf("the address of a visitor: %w", err)
		}
		bounds = append(bounds, guessBound{"address " + network(from.Addr()).String(), addressLimit})
	case account == "" || kind == page.PrivateMailLink:
		bounds = append(bounds, guessBound{"site " + kind.String(), formsOfSite})
	}
	if account != "" {
		bounds = append(bounds, guessBound{account, guessesOfAccount})
	}
	return bounds, nil
}

package edge

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// submit does what a form asks for.
func (s *Server) submit(w http.ResponseWriter, r *http.Request, x *exchange, ref page.PrivateRef, who visitor) error {
	kind := ref.Private
	form, key, err := s.readForm(w, r)
	if err != nil {
		return err
	}
	if id := idOf(ref); id != 0 {
		form.Set("id", strconv.FormatInt(id, 10))
	}
	after := takeAfter(kind, form)
	if kind == page.PrivateSessions {
		return s.endSessions(w, r, x, who, form.Get("end"))
	}
	action, ok := actionOf(kind, form)
	if !ok {
		return errMethod
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if action == wire.ActionPasskeySignIn { // sent again it must not sign in again, as somebody else may sit there
		key = rand.Text()
	}
	switch {
	case !takesNext(kind):
		form.Del("next")
	case form.Has("next"):
		form.Set("next", localPath(form.Get("next")))
	}
	wait, err := s.countGuess(r, kind, who, form)
	if err != nil {
		return err
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		ask := wire.PrivateRequest{Key: key, Next: form.Get("next"), Wait: wait, Values: shownAgain(form)}
		return s.show(w, r, x, kind, who, ask, http.StatusTooManyRequests)
	}
	if kind == page.PrivateTokens {
		return s.submitToken(w, r, x, who, form, key)
	}
	header := nats.Header{wire.HeaderKey: {key}, wire.HeaderAccept: {wire.AcceptPage}}
	reply, err := s.askFor(r.Context(), x, wire.ActionSubject(action), who, header, []byte(form.Encode()),
		wire.ActionDeadline)
	if err != nil {
		return err
	}
	if reply.Header.Get(wire.HeaderCode) != "" {
		return s.refuse(w, r, x, kind, reply)
	}
	changed, err := wire.ChangedBy(reply)
	if err != nil {
		return fmt.Errorf("the reply to %s: %w", action, err)
	}
	s.setFresh(w, r, changed)
	if reply.Header.Get(wire.HeaderAccount) != "" {
		if err := s.signIn(w, r, who, reply); err != nil {
			return err
		}
	}
	if status, ok := pageStatus(reply); ok {
		s.sendPrivate(w, r, x, reply.Data, typeHTML, status)
		return nil
	}
	receipt := reply.Header.Get(wire.HeaderReceipt)
	switch {
	case receipt != "" && kind == page.PrivateBin:
		s.seeOther(w, x, photoReceiptPath(receipt))
		return nil
	case receipt != "":
		s.leave(w, r, x, who, receipt)
		return nil
	}
	if seen := reply.Header.Get(wire.HeaderVisibility); seen != "" { // perhaps not what the form says
		form.Set("visibility", seen)
	}
	if kind == page.PrivateAlbums || kind == page.PrivateAlbum {
		if wantsJSON(r) {
			return s.sendChanged(w, r, x, changed, "")
		}
		s.seeOther(w, x, afterAlbum(kind, form, changed))
		return nil
	}
	s.seeOther(w, x, afterwards(kind, who, form, after, changed))
	return nil
}

// shownAgain are the fields of a form that the page shows again which refuses it.
func shownAgain(form url.Values) url.Values {
	values := url.Values{}
	for _, name := range [...]string{"name", "email", "token", "photo", "album", "days", "adds"} {
		if form.Has(name) {
			values.Set(name, form.Get(name))
		}
	}
	return values
}

// actionOf is the action of a form on a page; false if the page has none.
func actionOf(kind page.Private, form url.Values) (string, bool) {
	switch kind {
	case page.PrivateSignIn:
		if form.Has("passkey") {
			return wire.ActionPasskeySignIn, true
		}
		return wire.ActionSignIn, true
	case page.PrivatePasskeys:
		if form.Has("remove") {
			return wire.ActionPasskeyRemove, true
		}
		return wire.ActionPasskeyRename, true
	case page.PrivateMailLink:
		return wire.ActionMailLink, true
	case page.PrivateReset:
		return wire.ActionReset, true
	case page.PrivateConfirm:
		return wire.ActionConfirm, true
	case page.PrivateEmail:
		return wire.ActionEmail, true
	case page.PrivateNewPasskey:
		if form.Has("passkey") {
			return wire.ActionPasskeyAdd, true
		}
		return wire.ActionPasskeyBegin, true
	case page.PrivateSignUp:
		return wire.ActionSignUp, true
	case page.PrivateRecover:
		return wire.ActionRecover, true
	case page.PrivatePassword:
		return wire.ActionPassword, true
	case page.PrivateProfile:
		return wire.ActionProfileEdit, true
	case page.PrivateDelete:
		return wire.ActionDelete, true
	case page.PrivateCodes:
		return wire.ActionCodes, true
	case page.PrivateTokens:
		return wire.ActionToken, true
	case page.PrivatePhoto:
		return wire.ActionOwnEdit, true
	case page.PrivatePhotos:
		return wire.ActionOwnPhotos, true
	case page.PrivateBin:
		return wire.ActionOwnBin, true
	case page.PrivateAlbums:
		return wire.ActionOwnAlbums, true
	case page.PrivateAlbum:
		return wire.ActionOwnAlbum, true
	case page.PrivateShares:
		if form.Has("end") {
			return wire.ActionUnshare, true
		}
		if form.Has("back") {
			return wire.ActionReshare, true
		}
		if form.Has("let") || form.Has("stop") {
			return wire.ActionShareAdd, true
		}
		return wire.ActionShare, true
	case page.PrivateTakeout:
		return wire.ActionTakeout, true
	}
	return "", false
}

// afterwards is where a form leads to.
func afterwards(kind page.Private, who visitor, form url.Values, after string, changed []wire.Change) string {
	notice := ""
	switch kind {
	case page.PrivatePasskeys, page.PrivateNewPasskey:
		return afterPasskey(kind, form)
	case page.PrivateMailLink, page.PrivateConfirm, page.PrivateEmail:
		return afterMail(kind, form)
	case page.PrivatePhoto, page.PrivatePhotos, page.PrivateBin, page.PrivateShares:
		return afterOwn(kind, form, after, changed)
	case page.PrivateProfile:
		return page.User(who.Name).Path()
	case page.PrivateTakeout:
		return kind.Path() + "?" + url.Values{"notice": {wire.NoticeTakeout}}.Encode()
	case page.PrivatePassword:
		notice = wire.NoticePassword
	case page.PrivateRecover, page.PrivateReset:
		notice = wire.NoticeRecovered
	default:
		if next := form.Get("next"); next != "" {
			return next
		}
		return page.PrivateMe.Path()
	}
	return page.PrivateMe.Path() + "?" + url.Values{"notice": {notice}}.Encode()
}

// refuse answers with the form that something is wrong with.
func (s *Server) refuse(
	w http.ResponseWriter, r *http.Request, x *exchange, kind page.Private, reply *nats.Msg,
) error {
	status, ok := pageStatus(reply)
	if !ok {
		return s.unlessNobody(w, r, x, kind, wire.ErrorOf(reply))
	}
	s.sendPrivate(w, r, x, reply.Data, typeHTML, status)
	return nil
}

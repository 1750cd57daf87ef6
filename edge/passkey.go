package edge

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// takesPasskeys reports whether a page has a browser use a passkey, or make one.
func takesPasskeys(kind page.Private) bool {
	return kind == page.PrivateSignIn || kind == page.PrivateNewPasskey
}

// browserCookie returns the name of the cookie that tells browsers apart, so that the challenge of one is not answered
// by another.
func browserCookie(secure bool) string {
	if secure {
		return "__Host-browser"
	}
	return "browser"
}

// browserSize is the length of that cookie's value: 130 random bits.
const browserSize = 26

// passkeyVisit returns the address of the site, as a browser knows it, and the secret of the browser. It gives a secret
// to a browser that has none. The address is "" if the edge has origins (`--origin`) and the browser came by none of
// them.
func (s *Server) passkeyVisit(w http.ResponseWriter, r *http.Request) (origin, browser string) {
	origin = s.originOf(r)
	secure := s.secureFor(r)
	browser, count := session.Token(r.Header["Cookie"], browserCookie(secure))
	if count == 1 && len(browser) == browserSize && wire.ValidKey(browser) {
		return origin, browser
	}
	browser = rand.Text()
	http.SetCookie(w, &http.Cookie{Name: browserCookie(secure), Value: browser, Path: "/", Secure: secure,
		HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return origin, browser
}

// originOf is the address of the site for visitors who send this request: one of the origins if there are any, or else
// the Host itself.
func (s *Server) originOf(r *http.Request) string {
	host := strings.ToLower(r.Host)
	switch {
	case len(s.origins) > 0:
		return s.origins[host]
	case s.secureFor(r):
		return "https://" + host
	}
	return "http://" + host
}

// afterPasskey is where a form about passkeys leads to.
func afterPasskey(kind page.Private, form url.Values) string {
	notice := wire.NoticePasskeyRenamed
	switch {
	case kind == page.PrivateNewPasskey:
		notice = wire.NoticePasskeyAdded
	case form.Has("remove"):
		notice = wire.NoticePasskeyRemoved
	}
	return page.PrivatePasskeys.Path() + "?" + url.Values{"notice": {notice}}.Encode()
}

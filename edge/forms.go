package edge

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Errors of forms, each with a status of its own.
var (
	errCrossOrigin = errors.New("a form that no page of this site has sent")                  // 403
	errFormTooLong = fmt.Errorf("a form of more than %d bytes", wire.MaxForm)                 // 413
	errFormType    = errors.New("a form that is not application/x-www-form-urlencoded")       // 415
	errForm        = fmt.Errorf("%w: a form that cannot be read", wire.ErrBadRequest)         // 400
	errFormKey     = fmt.Errorf("%w: a form without its hidden key", wire.ErrBadRequest)      // 400
	errFormFields  = fmt.Errorf("%w: a form with a field twice, or too many fields", errForm) // 400
)

// maxFields bounds the fields of a form. Those of the site have five at most.
const maxFields = 32

// checkOrigin refuses a write that another site may have made a browser send. Browsers say where a request comes from;
// one that does not, but sends a session, may be an old browser that was tricked.
func (s *Server) checkOrigin(r *http.Request, withSession bool) error {
	if err := s.crossOrigin.Check(r); err != nil {
		return fmt.Errorf("%w: %w", errCrossOrigin, err)
	}
	if withSession && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return fmt.Errorf("%w: it has a session, but neither Origin nor Sec-Fetch-Site", errCrossOrigin)
	}
	return nil
}

// fieldPhotos is the one field that may be given several times, once for each photo that was chosen. It is passed on as
// one list with commas.
const fieldPhotos = "photos"

// readForm reads the form in a request: at most wire.MaxForm bytes of UTF-8, with one value a field. Its key, which
// names the attempt, is returned on its own.
func (s *Server) readForm(w http.ResponseWriter, r *http.Request) (form url.Values, key string, err error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || !isUTF8(parameters["charset"]) {
		return nil, "", errFormType
	}
	data, err := io.ReadAll(s.counted(r, http.MaxBytesReader(w, r.Body, wire.MaxForm)))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, "", errFormTooLong
	}
	if errors.Is(err, errFormsFull) {
		return nil, "", err
	}
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errForm, err)
	}
	form, err = url.ParseQuery(string(data))
	if err != nil || len(form) > maxFields {
		return nil, "", errForm
	}
	if photos := form[fieldPhotos]; len(photos) > 1 && len(photos) <= page.MaxPhotos {
		form.Set(fieldPhotos, strings.Join(photos, ","))
	}
	for name, values := range form {
		switch {
		case len(values) != 1:
			return nil, "", errFormFields
		case !utf8.ValidString(name) || !utf8.ValidString(values[0]):
			return nil, "", errForm
		}
	}
	key = form.Get("key")
	form.Del("key")
	return form, key, nil
}

func isUTF8(charset string) bool {
	return charset == "" || charset == "utf-8" || charset == "UTF-8"
}

// minKey is the least length of the key of a form. Those of the site's pages have 26 characters.
const minKey = 16

func checkKey(key string) error {
	if len(key) < minKey || !wire.ValidKey(key) {
		return errFormKey
	}
	return nil
}

// takesNext reports whether a form leads to a path that its address or a hidden field names.
func takesNext(kind page.Private) bool {
	return kind == page.PrivateSignIn || kind == page.PrivateSignUp
}

// fromOtherSite reports whether a browser says that another site has sent a visitor here, by a link or a form.
func fromOtherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// localPath returns a path of this site that a visitor wants to go to; "" for anything else.
func localPath(next string) string {
	const longest = 512
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.HasPrefix(next, "/\\") ||
		len(next) > longest {
		return ""
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return ""
	}
	return u.RequestURI()
}

// secureFor reports whether visitors reach the site over TLS: at this edge, or at a proxy in front of it that an origin
// tells of, or the proxy itself.
func (s *Server) secureFor(r *http.Request) bool {
	return s.cfg.Encrypts() || r.TLS != nil || s.origins.secure(r.Host)
}

// setSession sets the cookies of somebody who is signed in.
func (s *Server) setSession(w http.ResponseWriter, r *http.Request, token, name string) {
	secure, age := s.secureFor(r), int(wire.SessionAge.Seconds())
	http.SetCookie(w, &http.Cookie{Name: session.Cookie(secure), Value: token, Path: "/", MaxAge: age, Secure: secure,
		HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.SetCookie(w, &http.Cookie{Name: session.NameCookie, Value: name, Path: "/", MaxAge: age, Secure: secure,
		SameSite: http.SameSiteLaxMode})
}

// clearSession has the browser forget the cookies.
func (s *Server) clearSession(w http.ResponseWriter, r *http.Request) {
	secure := s.secureFor(r)
	for _, name := range []string{session.Cookie(secure), session.NameCookie} {
		http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: secure,
			HttpOnly: name != session.NameCookie, SameSite: http.SameSiteLaxMode})
	}
}

// setFresh shows visitors their own change through every edge.
func (s *Server) setFresh(w http.ResponseWriter, r *http.Request, changed []wire.Change) {
	for _, c := range changed {
		s.pages.tracker.Learn(c)
	}
	key := s.tokens.Key()
	if key == nil || len(changed) == 0 {
		return
	}
	token := key.Sign(changed, s.pages.tracker.Clock().Now().Add(wire.FreshAge))
	http.SetCookie(w, &http.Cookie{Name: wire.FreshCookie, Value: token, Path: "/",
		MaxAge: int(wire.FreshAge.Seconds()), Secure: s.secureFor(r), HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

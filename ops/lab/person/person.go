// Package person signs people up, in and out of a site by its forms, and uploads photos, as their browsers do.
//
// **Input**: the addresses of edges, names and passwords. **Output**: answers, and the sessions that they begin. **Must
// not touch**: the bus, the database, the roles' code. It follows no redirect and keeps no cookie by itself.
package person

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"flickrkillr/schema/page"
)

// agent is the User-Agent of all requests: what lists of sessions then show, "Firefox on Linux", people know.
const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 killr"

// maxBody bounds an answer, in bytes.
const maxBody = 4 << 20

// Session is what a browser keeps of somebody who is signed in. The zero value is nobody.
type Session struct {
	Cookie string // the header field Cookie, with the token and what the header's script reads
	Token  string
}

// Answer is an answer to a form, or a private page.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	Session Session // that the answer begins, if it does
}

// SignedOut reports that the edge sends the visitor to the form for signing in: it takes the session for none.
func (a *Answer) SignedOut() bool {
	return a.Status == http.StatusSeeOther && strings.HasPrefix(a.Header.Get("Location"), page.PrivateSignIn.Path())
}

// Client sends requests. HTTP must not follow redirects.
type Client struct{ HTTP *http.Client }

// Get requests a private page of a session.
func (c Client) Get(ctx context.Context, method, edge, path string, as Session) (*Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, edge+path, nil)
	if err != nil {
		return nil, err
	}
	return c.do(r, as)
}

// GetJSON requests what programs get in the place of a private page.
func (c Client) GetJSON(ctx context.Context, edge, path string, as Session) (*Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, edge+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	return c.do(r, as)
}

// Post sends a form. It adds the key of a new attempt to a form without one.
func (c Client) Post(ctx context.Context, edge, path string, as Session, form url.Values) (*Answer, error) {
	if !form.Has("key") {
		form.Set("key", rand.Text())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, edge+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", edge)
	return c.do(r, as)
}

// File is a picture to upload.
type File struct {
	Name    string
	Data    []byte
	Private bool   // only the uploader sees it
	To      string // the path that takes files; "": that for photos of one's own
}

// Upload uploads a file by one request of tus. The same key again is the same upload. A photo that it has become is
// named by the field Killr-Photo.
func (c Client) Upload(ctx context.Context, edge string, as Session, key string, f File) (*Answer, error) {
	to := edge + cmp.Or(f.To, page.PathUploadFiles)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(f.Data))
	if err != nil {
		return nil, err
	}
	metadata := "filename " + base64.StdEncoding.EncodeToString([]byte(f.Name))
	if f.Private {
		metadata += ",private " + base64.StdEncoding.EncodeToString([]byte("1"))
	}
	for name, value := range map[string]string{
		"Origin": edge, "Idempotency-Key": key, "Tus-Resumable": "1.0.0", "Upload-Metadata": metadata,
		"Upload-Length": strconv.Itoa(len(f.Data)), "Content-Type": "application/offset+octet-stream",
	} {
		r.Header.Set(name, value)
	}
	return c.do(r, as)
}

func (c Client) do(r *http.Request, as Session) (*Answer, error) {
	r.Header.Set("User-Agent", agent)
	if as.Cookie != "" {
		r.Header.Set("Cookie", as.Cookie)
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Session: sessionOf(resp.Cookies())}, nil
}

// sessionOf returns the session that cookies of an answer begin.
func sessionOf(cookies []*http.Cookie) (s Session) {
	var all []string
	for _, c := range cookies {
		if c.MaxAge <= 0 || c.Name != "me" && !strings.HasSuffix(c.Name, "session") {
			continue
		}
		if c.Name != "me" {
			s.Token = c.Value
		}
		all = append(all, c.Name+"="+c.Value)
	}
	if s.Token == "" {
		return Session{}
	}
	s.Cookie = strings.Join(all, "; ")
	return s
}

// SignIn begins a session. The error says how the edge answered, if it began none.
func (c Client) SignIn(ctx context.Context, edge, name, password string) (Session, error) {
	form := url.Values{"name": {name}, "password": {password}}
	answer, err := c.Post(ctx, edge, page.PrivateSignIn.Path(), Session{}, form)
	if err == nil && answer.Session.Token == "" {
		err = fmt.Errorf("the answer is %d %s", answer.Status, http.StatusText(answer.Status))
	}
	if err != nil {
		return Session{}, fmt.Errorf("sign in as %s at %s: %w", name, edge, err)
	}
	return answer.Session, nil
}

// SignOut ends a session.
func (c Client) SignOut(ctx context.Context, edge string, as Session) error {
	answer, err := c.Post(ctx, edge, page.PathSignOut, as, url.Values{})
	if err == nil && answer.Status != http.StatusSeeOther {
		err = fmt.Errorf("the answer is %d %s", answer.Status, http.StatusText(answer.Status))
	}
	if err != nil {
		return fmt.Errorf("sign out at %s: %w", edge, err)
	}
	return nil
}

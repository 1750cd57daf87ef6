package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/page"
)

// tokenFlags say where an edge is, and where its token is kept.
type tokenFlags struct {
	Edge     string `placeholder:"URL" help:"Address of an edge (default: the first of the last 'up' here, or else http://127.0.0.1:8080)."`
	Config   string `placeholder:"DIR" help:"Folder in which tokens are kept, one file an edge, which only you may read (default: flickrkillr in your configuration folder)."`
	Insecure bool   `env:"-" help:"Send a password or a token over http to another machine. Whoever is on the way can read it."`
}

type loginCommand struct {
	tokenFlags
	Name      string `placeholder:"NAME" help:"Name of your account (default: asked for)."`
	TokenName string `placeholder:"TEXT" help:"Name of the token in the list at /me/tokens (default: the name of this computer)."`
	ReadOnly  bool   `help:"Make a token that can change nothing."`
	Logout    bool   `env:"-" help:"End the token and forget it."`
}

type whoamiCommand struct{ tokenFlags }

// keptToken is the content of a token's file.
type keptToken struct {
	Edge  string `json:"edge"`
	Name  string `json:"name"` // of the account
	Token string `json:"token"`
}

// Run makes an API token with a name and a password, which it does not keep.
func (c *loginCommand) Run(s *session) error {
	edge, err := c.open(s)
	if err != nil {
		return err
	}
	if c.Logout {
		return edge.logout(s)
	}
	fmt.Fprintf(s.stderr, "Sign in at %s\n", edge.url)
	name, password, err := c.credentials(s)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "killr"
	}
	old, _ := edge.kept() // ended below
	if err := edge.signIn(s.ctx, name, password); err != nil {
		return err
	}
	token, err := edge.makeToken(s.ctx, cmp.Or(c.TokenName, host), password, c.ReadOnly)
	ended := edge.end(context.WithoutCancel(s.ctx), "") // the session was for the token alone
	edge.client.Jar = nil
	who := ""
	if err = errors.Join(err, ended); err == nil {
		who, err = edge.whoami(s.ctx, token)
	}
	if err == nil {
		err = edge.keep(keptToken{edge.url, who, token})
	}
	if err != nil {
		if token != "" { // nobody knows it
			err = errors.Join(err, edge.end(context.WithoutCancel(s.ctx), token))
		}
		return err
	}
	if old.Token != "" {
		_ = edge.end(s.ctx, old.Token) // perhaps it has ended
	}
	fmt.Fprintf(s.stdout, "signed in at %s as %s; the token is in %s\n", edge.url, who, edge.file)
	return nil
}

// Run prints whose the token is.
func (c *whoamiCommand) Run(s *session) error {
	edge, err := c.open(s)
	if err != nil {
		return err
	}
	kept, err := edge.kept()
	if err != nil {
		return err
	}
	who, err := edge.whoami(s.ctx, kept.Token)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, who)
	return nil
}

// credentials asks for what is not given. Where there is no terminal, the password is the first line of the input.
func (c *loginCommand) credentials(s *session) (name, password string, err error) {
	input := bufio.NewReader(s.stdin)
	line := func() (string, error) {
		text, err := input.ReadString('\n')
		if errors.Is(err, io.EOF) && text != "" {
			err = nil
		}
		return strings.TrimRight(text, "\r\n"), err
	}
	if name = c.Name; name == "" {
		fmt.Fprint(s.stderr, "Name: ")
		if name, err = line(); err != nil || name == "" {
			return "", "", errors.New("no name was given: type it, or say --name")
		}
	}
	if file, ok := s.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(s.stderr, "Password: ")
		typed, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(s.stderr)
		if err != nil {
			return "", "", fmt.Errorf("read the password: %w", err)
		}
		password = string(typed)
	} else if password, err = line(); err != nil && !errors.Is(err, io.EOF) {
		return "", "", fmt.Errorf("read the password: %w", err)
	}
	if password == "" {
		return "", "", errors.New("no password was given: type it, or write it to the standard input")
	}
	return name, password, nil
}

// edgeClient talks to one edge as one person.
type edgeClient struct {
	url    string // without a path
	file   string // with the token
	client *http.Client
}

// edgeTime bounds a request. A sign-in may wait for its turn.
const edgeTime = 30 * time.Second

// defaultEdge is the address of the first edge of `up` if its flags name no other one.
const defaultEdge = "http://127.0.0.1:8080"

// edge is the address that was given, or the first one that `up` announced in a data directory, which has to be on this
// machine.
func (f tokenFlags) edge(data string) (string, error) {
	if f.Edge == "" {
		edges, err := announcedEdges(data)
		if err != nil || len(edges) == 0 {
			return defaultEdge, err
		}
		if u, err := url.Parse(edges[0]); err != nil || !isLoopback(u.Hostname()) { // the directory may be a stranger's
			return "", usage(fmt.Errorf("the edge that %s names is %s, perhaps on another machine: say --edge %[2]s "+
				"to use it", filepath.Join(data, stack.EnvFile), edges[0]))
		}
		return edges[0], nil
	}
	first, _, _ := strings.Cut(f.Edge, ",") // KILLR_EDGE of stack.env names all
	return first, nil
}

// open checks where passwords and tokens would go to.
func (f tokenFlags) open(s *session) (*edgeClient, error) {
	edge, err := f.edge(s.data)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSuffix(edge, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" ||
		u.User != nil {
		return nil, usage(fmt.Errorf("--edge %s is no address of an edge: give one such as https://photos.example",
			edge))
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) && !f.Insecure {
		return nil, usage(fmt.Errorf("%s is not encrypted, so others on the network could read your password: "+
			"use https, or say --insecure", u))
	}
	folder := f.Config
	if folder == "" {
		all, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("%w: say --config", err)
		}
		folder = filepath.Join(all, "flickrkillr")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &edgeClient{url: u.String(), file: filepath.Join(folder, url.QueryEscape(u.String())+".json"),
		client: &http.Client{Timeout: edgeTime, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// post sends a form, with a token if there is one.
func (e *edgeClient) post(ctx context.Context, path, token string, form url.Values) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", e.url)
	return e.do(r, token)
}

func (e *edgeClient) do(r *http.Request, token string) (*http.Response, error) {
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return e.client.Do(r)
}

// unexpected is the error of an answer that a command can do nothing with.
func (e *edgeClient) unexpected(what string, answer *http.Response) error {
	var said struct{ Problem string }
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	_ = json.Unmarshal(body, &said) // an older edge, or another program, sends something else
	switch {
	case answer.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%s: too many attempts: try again in %s s", what, answer.Header.Get("Retry-After"))
	case said.Problem != "":
		return fmt.Errorf("%s: %s", what, said.Problem)
	}
	return fmt.Errorf("%s: %s answers %s", what, e.url, answer.Status)
}

// signIn begins a session, whose cookie the client keeps.
func (e *edgeClient) signIn(ctx context.Context, name, password string) error {
	answer, err := e.post(ctx, page.PrivateSignIn.Path(), "",
		url.Values{"name": {name}, "password": {password}, "key": {rand.Text()}})
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusSeeOther, http.StatusOK: // 200 to a program that asks for JSON
		return nil
	case http.StatusUnprocessableEntity:
		return errors.New("sign in: the password does not fit the name: check both")
	}
	return e.unexpected("sign in", answer)
}

// makeToken makes a token in the session of signIn. If the answer is lost it asks again, with the same key.
func (e *edgeClient) makeToken(ctx context.Context, name, password string, readOnly bool) (string, error) {
	access := "write"
	if readOnly {
		access = "read"
	}
	form := url.Values{"name": {name}, "access": {access}, "password": {password}, "key": {rand.Text()}}
	answer, err := e.post(ctx, page.PrivateTokens.Path(), "", form)
	if err != nil && ctx.Err() == nil {
		answer, err = e.post(ctx, page.PrivateTokens.Path(), "", form)
	}
	if err != nil {
		return "", fmt.Errorf("make a token: %w (if one was made, end it at %s)", err, e.url+page.PrivateTokens.Path())
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", e.unexpected("make a token", answer)
	}
	var made struct{ Token string }
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || made.Token == "" {
		return "", fmt.Errorf("make a token: %s answers without one", e.url)
	}
	return made.Token, nil
}

// end ends a token, or without one the session of signIn. One that has ended is no error.
func (e *edgeClient) end(ctx context.Context, token string) error {
	answer, err := e.post(ctx, page.PathSignOut, token, url.Values{})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK, http.StatusSeeOther, http.StatusUnauthorized:
		return nil
	}
	return e.unexpected("sign out", answer)
}

// whoami returns the name of the account that a token belongs to.
func (e *edgeClient) whoami(ctx context.Context, token string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+page.PrivateMe.Path(), http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := e.do(r, token)
	if err != nil {
		return "", fmt.Errorf("ask who one is: %w", err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return "", fmt.Errorf("the token for %s has ended: make a new one with `killr login --edge %[1]s`", e.url)
	default:
		return "", e.unexpected("ask who one is", answer)
	}
	var who struct{ Name string }
	if err := json.NewDecoder(answer.Body).Decode(&who); err != nil || who.Name == "" {
		return "", fmt.Errorf("ask who one is: %s answers without a name", e.url)
	}
	return who.Name, nil
}

// logout ends the token that is kept, and forgets it.
func (e *edgeClient) logout(s *session) error {
	kept, err := e.kept()
	if err != nil {
		return err
	}
	if err := e.end(s.ctx, kept.Token); err != nil {
		return err
	}
	if err := os.Remove(e.file); err != nil {
		return fmt.Errorf("the token is ended, but its file stays: %w", err)
	}
	fmt.Fprintf(s.stdout, "signed out at %s\n", e.url)
	return nil
}

// kept reads the token of the edge.
func (e *edgeClient) kept() (kept keptToken, err error) {
	data, err := os.ReadFile(e.file)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, fmt.Errorf("there is no token for %s: make one with `killr login --edge %[1]s`", e.url)
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return kept, fmt.Errorf("the token in %s cannot be read: %w", e.file, err)
	}
	return kept, nil
}

// keep writes the token's file, which only its owner may read, as a whole.
func (e *edgeClient) keep(kept keptToken) (err error) {
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	folder := filepath.Dir(e.file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("keep the token: %w", err)
	}
	file, err := os.CreateTemp(folder, "token") // mode 0600
	if err != nil {
		return fmt.Errorf("keep the token: %w", err)
	}
	_, err = io.Copy(file, bytes.NewReader(data))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), e.file)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("keep the token: %w", err)
	}
	return nil
}

package testenv

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

// Get requests a URL over a connection of its own, without following redirects, and fails the test if there is no
// answer.
func Get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: NoRedirects}
	status, _, body, err := Fetch(t.Context(), client, url)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// Fetch requests a URL with a client, which also decides about redirects. Goroutines of a test may call it.
func Fetch(ctx context.Context, client *http.Client, url string) (
	status int, header http.Header, body string, err error,
) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

// NoRedirects is for http.Client.CheckRedirect: a redirect is an answer like others.
func NoRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

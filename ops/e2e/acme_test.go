package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/ops/testenv/authority"
	"flickrkillr/schema/wire"
)

// TestCertificateOfACA: an edge that is told a name and a CA has a certificate of it, sends visitors without TLS to
// HTTPS, and serves pages of the site there.
func TestCertificateOfACA(t *testing.T) {
	t.Parallel()
	s, ca := newSite(t, 0, 1), authority.New(t)
	const name = "photos.example"
	edge := testenv.StartProgram(t, testenv.Program(t), nil, append([]string{
		"edge", "--log-format", "json", "--addr", "127.0.0.1:0", "--redirect-addr", "127.0.0.1:0", "--acme", name,
		"--acme-directory", ca.Directory, "--acme-roots", ca.Roots, "--memcached", s.cache.Addr(), "--origin",
		"https://" + name,
	}, testenv.NATSFlags(t, s.bus.URL(), wire.RoleEdge)...)...)
	listens := func(words ...string) (addr string) {
		var line struct{ Addr string }
		must(t, json.Unmarshal([]byte(edge.WaitLine(t, edge.Stderr, words...)), &line))
		return line.Addr
	}
	plain, encrypted := listens("listening for clients without TLS"), listens(`"listening"`, `"edge"`)
	ca.Begin(t, portOf(t, plain), portOf(t, encrypted))

	// Every name is at the edge, and certificates are the CA's.
	dialer := net.Dialer{}
	client := newClient(t, 1)
	transport := client.Transport.(*http.Transport)
	transport.ForceAttemptHTTP2 = true
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if _, port, _ := net.SplitHostPort(addr); port == "80" {
			return dialer.DialContext(ctx, network, plain)
		}
		return dialer.DialContext(ctx, network, encrypted)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: ca.Issuers(), MinVersion: tls.VersionTLS12}
	status, header, _, err := testenv.Fetch(t.Context(), client, "http://"+name+"/about?a=b")
	if err != nil || status != http.StatusPermanentRedirect {
		t.Fatalf("without TLS: %d, %v", status, err)
	}
	to, err := url.Parse(header.Get("Location"))
	if err != nil || to.String() != "https://"+name+"/about?a=b" {
		t.Errorf("without TLS visitors are sent to %q", header.Get("Location"))
	}
	var resp *http.Response
	testenv.Within(t, 2*time.Minute, "the edge serves a page within TLS", func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.String(), nil)
		must(t, err)
		if resp, err = client.Do(r); err != nil {
			return false
		}
		must(t, resp.Body.Close())
		return resp.StatusCode == http.StatusOK
	})
	if resp.ProtoMajor != 2 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s, %v", resp.Proto, resp.Header)
	}
	if n := ca.Orders(); n < 1 || n > 2 {
		t.Errorf("%d orders", n)
	}
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	must(t, err)
	port, err := strconv.Atoi(text)
	must(t, err)
	return port
}

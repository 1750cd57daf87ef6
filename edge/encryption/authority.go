package encryption

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"

	"flickrkillr/schema/sleep"
)

// Authority says for which names certificates are ordered, and where. The zero value orders none.
type Authority struct {
	Domains   []string // such as photos.example
	Directory string   // URL of the CA's directory (RFC 8555); "": Let's Encrypt
	Email     string   // to which the CA writes; "": to nobody
	Roots     string   // file with the certificates, in PEM, by which the directory is known; "": the machine's
}

// Check returns an error if a field cannot be right.
func (a Authority) Check() error {
	if len(a.Domains) == 0 && (a.Directory != "" || a.Email != "" || a.Roots != "") {
		return errors.New("name a domain to order a certificate for")
	}
	for _, domain := range a.Domains {
		ascii, err := idna.Lookup.ToASCII(domain)
		_, notIP := netip.ParseAddr(domain)
		if err != nil || ascii != domain || notIP == nil || !strings.Contains(strings.Trim(domain, "."), ".") {
			return fmt.Errorf("%q: a certificate is ordered for a name in lower case, with a dot, such as "+
				"photos.example; write others than ASCII as browsers send them (xn--...)", domain)
		}
	}
	if a.Directory != "" && !strings.HasPrefix(a.Directory, "https://") {
		return fmt.Errorf("the CA's directory %q must begin with https://", a.Directory)
	}
	return nil
}

// client speaks to the CA until end ends. It has may allow each order of a certificate for a name.
func (a Authority) client(end context.Context, may func(ctx context.Context, name string) error,
) (*acme.Client, error) {
	pauses := pauses{end}
	client := &acme.Client{DirectoryURL: a.Directory, UserAgent: "killr", RetryBackoff: pauses.retry}
	if client.DirectoryURL == "" {
		client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	client.HTTPClient = &http.Client{Transport: orders{transport, pauses, may}, Timeout: time.Minute}
	if a.Roots == "" {
		return client, nil
	}
	pem, err := os.ReadFile(a.Roots)
	if err != nil {
		return nil, fmt.Errorf("the certificates by which the CA is known: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s, by which the CA would be known", a.Roots)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return client, nil
}

// pauses are waits for a CA, which end with a context. Those of acme.Client end with the order alone.
type pauses struct{ end context.Context }

// caPause is the longest wait, however long the CA asks for.
const caPause = 10 * time.Second

// retry is for [acme.Client.RetryBackoff]. A CA that has had too many requests gets none until the next turn.
func (p pauses) retry(n int, _ *http.Request, answer *http.Response) time.Duration {
	wait := min(time.Second<<min(n, 10), caPause)
	if answer.StatusCode == http.StatusTooManyRequests || !sleep.For(p.end, wait) {
		return -1
	}
	return 1
}

// orders sends requests until a context ends, and orders only if they are allowed. autocert knows no other way to give
// up an order, or to not begin one.
type orders struct {
	*http.Transport
	pauses
	may func(ctx context.Context, name string) error
}

func (o orders) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	context.AfterFunc(o.end, cancel) // also while the body is read; an order has few requests
	if name := orderedName(r); name != "" {
		if err := o.may(ctx, name); err != nil {
			_ = r.Body.Close()
			return nil, err
		}
	}
	answer, err := o.Transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if after := answer.Header.Get("Retry-After"); after != "" && answer.StatusCode < http.StatusMultipleChoices {
		wait := caPause
		if seconds, err := strconv.Atoi(after); err == nil && seconds < int(caPause/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
		answer.Header.Del("Retry-After")
		sleep.For(o.end, wait)
	}
	return answer, nil
}

// orderedName is the name for which a request orders a certificate (RFC 8555, 7.4); "": it is another request.
func orderedName(r *http.Request) string {
	if r.GetBody == nil {
		return ""
	}
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	var signed struct{ Payload string }
	if json.NewDecoder(body).Decode(&signed) != nil {
		return ""
	}
	var order struct{ Identifiers []struct{ Value string } }
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil || json.Unmarshal(payload, &order) != nil || len(order.Identifiers) == 0 {
		return ""
	}
	return order.Identifiers[0].Value
}

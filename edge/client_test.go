package edge

import (
	"bufio"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
)

// answer is an HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) tier() string { return a.header.Get("X-Cache") }

// get fetches a path over a connection of its own, within TLS and on the path byHTTP2 by HTTP/2. It follows no redirect
// and adds no Accept-Encoding. headers are name, value, name, value, ...
func get(t testing.TB, e *Server, path string, headers ...string) answer {
	t.Helper()
	return do(t, http.MethodGet, e, path, headers...)
}

// do is get with another method.
func do(t testing.TB, method string, e *Server, path string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, origin(e)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Add(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	transport := &http.Transport{DisableCompression: true, TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: true}
	if e.cfg.Version == byHTTP2Version {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// expand returns the body, decompressed.
func expand(t *testing.T, a answer) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.body)
	switch a.header.Get("Content-Encoding") {
	case "br":
		r = brotli.NewReader(r)
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tierOf fetches a path without a connection and returns the tier of the answer.
func tierOf(t testing.TB, e *Server, path string) (tier string) {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w.Header().Get("X-Cache")
}

// rawClient is a client that writes the bytes of its requests itself, on one connection.
type rawClient struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// trusting is of a client that takes any certificate.
var trusting = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // of edges that the test has started

// origin is the address of an edge as browsers know it.
func origin(e *Server) string {
	if e.cfg.Encrypts() {
		return "https://" + e.Addr()
	}
	return "http://" + e.Addr()
}

// connect connects to an edge, see tryConnect.
func connect(t testing.TB, e *Server, dialer *net.Dialer) net.Conn {
	t.Helper()
	conn, err := tryConnect(t, e, dialer)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// tryConnect connects to an edge, encrypted if it encrypts. The test closes the connection at its end.
func tryConnect(t testing.TB, e *Server, dialer *net.Dialer) (net.Conn, error) {
	t.Helper()
	conn, err := dialer.DialContext(t.Context(), "tcp", e.Addr())
	if err != nil {
		return nil, err
	}
	if e.cfg.Encrypts() {
		conn = tls.Client(conn, trusting)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, nil
}

// dial connects to an edge.
func dial(t testing.TB, e *Server) *rawClient {
	t.Helper()
	conn := connect(t, e, &net.Dialer{})
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &rawClient{t, conn, bufio.NewReader(conn)}
}

// send sends bytes.
func (c *rawClient) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads the answer to a request with this method.
func (c *rawClient) receive(method string) answer {
	c.t.Helper()
	a, err := c.tryReceive(method)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// tryReceive is receive for an answer that may be missing or incomplete.
func (c *rawClient) tryReceive(method string) (answer, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// rawGet is a GET. It is fast unless the path or a header field is not.
func rawGet(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: killr\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

// halfClose sends a FIN.
func (c *rawClient) halfClose() {
	c.t.Helper()
	if err := c.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// itoa is n in decimal.
func itoa(n int64) string { return strconv.FormatInt(n, 10) }

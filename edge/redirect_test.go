package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"flickrkillr/edge/encryption"
)

// TestHSTS: within TLS, and only there, every answer has the header field that the configuration asks for; but no
// answer that is requested of an address or of localhost.
func TestHSTS(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath, func(c *Config) { c.HSTS = HSTS{MaxAge: time.Hour} })
		want := ""
		if e.cfg.Encrypts() {
			want = "max-age=3600"
		}
		for _, path := range []string{"/photos/ansel", "/photos/ansel", "/nowhere", "/%70hotos/ansel", "/me"} {
			if got := get(t, e, path); got.header.Get("Strict-Transport-Security") != "" {
				t.Errorf("%s at an address: %q", path, got.header["Strict-Transport-Security"])
			}
			got := get(t, e, path, "Host", "photos.example:8443")
			if got.header.Get("Strict-Transport-Security") != want {
				t.Errorf("%s: %d %q, want %q", path, got.status, got.header["Strict-Transport-Security"], want)
			}
		}
		for _, path := range []string{"/photos/ansel", "/photos/ansel", "/nowhere", "/photos/ansel?a"} {
			for _, host := range []string{"killr", "localhost:8443"} {
				client := dial(t, e)
				client.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
				got := client.receive(http.MethodGet)
				if field := got.header.Get("Strict-Transport-Security"); field != want && host == "killr" ||
					field != "" && host != "killr" {
					t.Errorf("HTTP/1.1, %s at %s: %d %q, want %q", path, host, got.status, field, want)
				}
			}
		}
	})
}

// TestTakesHSTS: names take it, but not localhost, names below it, and addresses.
func TestTakesHSTS(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"photos.example": true, "photos.example:443": true, "photos.example.": true, "killr": true, "a1:80": true,
		"1.example": true, "localhost.example": true, "mylocalhost": true, "4.3.2.1.in-addr.arpa": true,
		"localhost": false, "LocalHost:8080": false, "a.localhost": false, "a.b.localhost.:1": false,
		"localhost.": false, "127.0.0.1": false, "192.0.2.7:443": false, "[::1]": false, "7": false,
		"[2001:db8::7]:443": false,
		"":                  false, ":443": false, ".": false, "127.0.0.1.": false,
	} {
		if got, of := takesHSTS(host), takesHSTS([]byte(host)); got != want || of != want {
			t.Errorf("%q: %t, %t, want %t", host, got, of, want)
		}
	}
}

// TestHSTSValue: all subdomains, and the list of browsers, only if asked for.
func TestHSTSValue(t *testing.T) {
	t.Parallel()
	certificates := []encryption.KeyPair{{Certificate: "cert.pem", Key: "key.pem"}}
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		hsts HSTS
		want string
		ok   bool
	}{
		{HSTS{}, "", true},
		{HSTS{Subdomains: true}, "", true},
		{HSTS{MaxAge: year}, "max-age=31536000", true},
		{HSTS{MaxAge: time.Hour, Subdomains: true}, "max-age=3600; includeSubDomains", true},
		{HSTS{MaxAge: year, Subdomains: true, Preload: true}, "max-age=31536000; includeSubDomains; preload", true},
		{HSTS{MaxAge: year, Preload: true}, "max-age=31536000; preload", false},
		{HSTS{MaxAge: time.Hour, Subdomains: true, Preload: true}, "max-age=3600; includeSubDomains; preload", false},
	} {
		cfg := Config{HSTS: c.hsts, Certificates: certificates}
		if got := strings.Join(cfg.strictTransport(), "|"); got != c.want || (c.hsts.Check() == nil) != c.ok {
			t.Errorf("%+v: %q, %v", c.hsts, got, c.hsts.Check())
		}
	}
}

// TestRedirect: a client without TLS is sent to the edge's port with TLS, at the same host or the origin of that name.
func TestRedirect(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.start(pathOption(t, encrypted), func(c *Config) {
		c.RedirectAddr, c.Origins = "127.0.0.1:0", []string{"https://photos.example", "http://plain.example"}
		c.HSTS = HSTS{MaxAge: time.Hour}
	})
	_, port, _ := net.SplitHostPort(e.Addr())
	for request, want := range map[string]string{
		"GET /photos/ansel?b=%2F&a HTTP/1.1\r\nHost: photos.example": "https://photos.example/photos/ansel?b=%2F&a",
		"GET / HTTP/1.1\r\nHost: PHOTOS.example:80":                  "https://photos.example/",
		"HEAD / HTTP/1.1\r\nHost: photos.example:8080":               "https://photos.example/",
		"POST /signin HTTP/1.1\r\nHost: photos.example":              "https://photos.example/signin",
		"GET //evil.example/ HTTP/1.1\r\nHost: photos.example":       "https://photos.example//evil.example/",
		"GET http://evil.example/x HTTP/1.1\r\nHost: photos.example": "https://evil.example:" + port + "/x",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1:80":                       "https://127.0.0.1:" + port + "/",
		"GET / HTTP/1.1\r\nHost: [::1]:80":                           "https://[::1]:" + port + "/",
		"GET / HTTP/1.1\r\nHost: plain.example":                      "https://plain.example:" + port + "/",
		"GET / HTTP/1.1\r\nHost: photos.example@evil.example":        "",
		"GET / HTTP/1.1\r\nHost: ":                                   "",
		"OPTIONS * HTTP/1.1\r\nHost: photos.example":                 "",
		"GET / HTTP/1.1\r\nHost: photos.example\r\nX-A: b\r\nX-A: c": "https://photos.example/",
		"GET /.well-known/a HTTP/1.1\r\nHost: 127.0.0.1":             "https://127.0.0.1:" + port + "/.well-known/a",
	} {
		conn, err := net.Dial("tcp", e.plain.lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, request+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		method, _, _ := strings.Cut(request, " ")
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Errorf("%q: %v", request, err)
			continue
		}
		defer resp.Body.Close()
		status := http.StatusPermanentRedirect
		if want == "" {
			status = http.StatusBadRequest
		}
		if resp.StatusCode != status || resp.Header.Get("Location") != want || !resp.Close ||
			resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%q: %d %v, want %d %s", request, resp.StatusCode, resp.Header, status, want)
		}
	}
	if _, err := New(Config{Addr: "127.0.0.1:0", NATS: s.nc, RedirectAddr: "127.0.0.1:0"}); err == nil ||
		!strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a certificate: %v", err)
	}
	again := Config{Addr: "127.0.0.1:0", NATS: s.nc, Certificates: e.cfg.Certificates, RedirectAddr: e.Addr()}
	if _, err := New(again); err == nil || !strings.Contains(err.Error(), e.Addr()) {
		t.Errorf("with a taken address: %v", err)
	}
}

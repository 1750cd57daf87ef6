package fastpath

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rawGet is a GET with these header fields.
func rawGet(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: killr\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

// TestParse: parse tells fast requests from delegated and unparsed ones.
func TestParse(t *testing.T) {
	t.Parallel()
	const chromium = "GET /photos/ansel HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"150\"\r\nUpgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nIf-None-Match: \"3j3cn7anriklf-br\"\r\n\r\n"
	fast, k := parse([]byte(chromium))
	if k != kindFast || string(fast.Target) != "/photos/ansel" ||
		string(fast.AcceptEncoding) != "gzip, deflate, br, zstd" || string(fast.IfNoneMatch) != `"3j3cn7anriklf-br"` {
		t.Errorf("a browser's request: kind %d, %q, %q, %q", k, fast.Target, fast.AcceptEncoding, fast.IfNoneMatch)
	}
	for text, want := range map[string]kind{
		rawGet("/"):                                                 kindFast,
		rawGet("/photos/ansel/before/17"):                           kindFast,
		rawGet("/", "accept-encoding:br"):                           kindFast,
		rawGet("/", "Cookie: theme=dark"):                           kindFast,
		rawGet("/", "Cookie: a=b; fresh=1"):                         kindDelegated,
		rawGet("/", "Cookie: session=xfreshx; me=fresh"):            kindFast,
		rawGet("/", "sec-ch-ua-mobile: ?0", "DNT: 1"):               kindFast,
		rawGet("/", "Authorization: Basic eDp5"):                    kindDelegated,
		rawGet("/", "Range: bytes=0-9"):                             kindDelegated,
		rawGet("/", "X-Unheard-Of: 1"):                              kindDelegated,
		rawGet("/", "Connection: close"):                            kindDelegated,
		rawGet("/", "Accept-Encoding: br", "Accept-Encoding: gzip"): kindDelegated,
		rawGet("/", "If-None-Match: \"a\"", "If-None-Match: \"b\""): kindDelegated,
		rawGet("/", "x-depends: ?"):                                 kindDelegated,
		rawGet("/tag/d%C3%BCne"):                                    kindDelegated,
		rawGet("/search?q=a"):                                       kindDelegated,
		rawGet("http://killr/"):                                     kindDelegated,
		"HEAD / HTTP/1.1\r\nHost: killr\r\n\r\n":                    kindDelegated,
		rawGet("/", "Content-Length: 0"):                            kindUnparsed,
		rawGet("/", "transfer-encoding: chunked"):                   kindUnparsed,
		rawGet("/", "Expect: 100-continue"):                         kindUnparsed,
		rawGet("/", "Upgrade: websocket"):                           kindUnparsed,
		rawGet(
			"/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13",
		): kindUnparsed,
		rawGet("/", "Host: other"):                  kindUnparsed,
		rawGet("/", "X-A : b"):                      kindUnparsed,
		rawGet("/", " folded"):                      kindUnparsed,
		rawGet("/", "X-A: b\nX-B: c"):               kindUnparsed,
		rawGet("/", "X-A: b\x00"):                   kindUnparsed,
		rawGet("/", "\rX-A: b"):                     kindUnparsed,
		rawGet("/") + "G":                           kindUnparsed,
		rawGet("/") + rawGet("/"):                   kindUnparsed,
		rawGet("/ "):                                kindUnparsed,
		"GET / HTTP/1.1\r\n\r\n":                    kindUnparsed,
		"GET / HTTP/1.1\r\nHost:\r\n\r\n":           kindUnparsed,
		"GET / HTTP/1.0\r\nHost: killr\r\n\r\n":     kindUnparsed,
		"GET / HTTP/1.1\nHost: killr\n\n":           kindUnparsed,
		"get / HTTP/1.1\r\nHost: killr\r\n\r\n":     kindUnparsed,
		"POST / HTTP/1.1\r\nHost: killr\r\n\r\n":    kindUnparsed,
		"\r\nGET / HTTP/1.1\r\nHost: killr\r\n\r\n": kindUnparsed,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":          kindUnparsed,
		"GET / HTTP/1.1\r\nHost: killr\r\n":         kindUnparsed,
		"GET / HTTP/1.1\r\nHost: killr\r\n\r":       kindUnparsed,
		"":                                          kindUnparsed,
	} {
		t.Run(fmt.Sprintf("%.60q", text), func(t *testing.T) {
			if _, k := parse([]byte(text)); k != want {
				t.Errorf("%q: kind %d, want %d", text, k, want)
			}
		})
	}
}

// TestParseBehindProxies: the header fields that usual proxies add leave a request fast.
func TestParseBehindProxies(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for proxy, fields := range map[string][]string{
		"nginx": {
			"X-Real-IP: 192.0.2.1", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Server: www",
		},
		"ingress-nginx": {
			"X-Request-ID: 5f3a", "X-Real-IP: 192.0.2.1", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: killr",
			"X-Forwarded-Port: 443", "X-Forwarded-Proto: https", "X-Forwarded-Scheme: https", "X-Scheme: https",
			"X-Original-Forwarded-For: 192.0.2.1",
		},
		"Traefik": {
			"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: killr", "X-Forwarded-Port: 443",
			"X-Forwarded-Proto: https", "X-Forwarded-Server: traefik-7d", "X-Real-Ip: 192.0.2.1",
		},
		"HAProxy": {
			"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "Forwarded: for=1",
		},
		"Caddy": {
			"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: killr", "X-Forwarded-Proto: https", "Via: 1.1 Caddy",
		},
		"Apache": {
			"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: killr", "X-Forwarded-Server: www",
			"Connection: Keep-Alive",
		},
		"Varnish": {"X-Forwarded-For: 192.0.2.1", "Via: 1.1 v (Varnish/7.1)", "X-Varnish: 32770"},
		"Envoy": {
			"X-Request-Id: 5f3a", "X-Envoy-External-Address: 192.0.2.1", "X-Envoy-Expected-Rq-Timeout-Ms: 15000",
			"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Client-Cert: By=a;Hash=b",
			"X-B3-TraceId: 80f198ee56343ba8", "X-B3-SpanId: e457b5a2e4d86bd1", "X-B3-Sampled: 1", "B3: 0",
		},
		"AWS load balancer": {
			"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Port: 443", "X-Forwarded-Proto: https",
			"X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678",
		},
		"CloudFront": {"X-Forwarded-For: 192.0.2.1", "Via: 2.0 a.cloudfront.net (CloudFront)", "X-Amz-Cf-Id: abc=="},
		"Cloudflare": {
			"CF-Ray: 230b030023ae2822-SJC", "CF-Connecting-IP: 192.0.2.1", "CF-IPCountry: DE",
			"CF-Visitor: {\"scheme\":\"https\"}", "CDN-Loop: cloudflare; loops=1", "X-Forwarded-For: 192.0.2.1",
			"X-Forwarded-Proto: https", "True-Client-IP: 192.0.2.1", "Accept-Encoding: gzip, br",
		},
		"Google load balancer": {
			"X-Forwarded-For: 192.0.2.1,192.0.2.2", "X-Forwarded-Proto: https", "Via: 1.1 google",
			"X-Cloud-Trace-Context: 105445aa7843bc8bf206b120001000/1;o=1", "traceparent: " + trace,
		},
		"OpenTelemetry": {"traceparent: " + trace, "tracestate: a=b", "Baggage: user=1"},
		"an old client": {"Proxy-Connection: keep-alive"},
	} {
		t.Run(proxy, func(t *testing.T) {
			t.Parallel()
			if fast, k := parse([]byte(rawGet("/photos/ansel", fields...))); k != kindFast {
				t.Errorf("kind %d: %s", k, fast.reason)
			}
			for _, field := range fields {
				if fast, k := parse([]byte(rawGet("/photos/ansel", field))); k != kindFast {
					t.Errorf("%s: kind %d: %s", field, k, fast.reason)
				}
			}
		})
	}
}

// agrees compares parse with net/http: bytes of kindFast or kindDelegated are exactly one request, and net/http reads
// the same header fields.
func agrees(t testing.TB, b []byte) kind {
	t.Helper()
	fast, k := parse(b)
	if k == kindUnparsed {
		return k
	}
	in := bufio.NewReader(bytes.NewReader(b))
	r, err := http.ReadRequest(in)
	if err != nil {
		if k == kindDelegated { // net/http answers with an error and closes the connection
			return k
		}
		t.Fatalf("%q is fast, net/http says: %v", b, err)
	}
	rest, _ := io.ReadAll(in)
	if len(rest) > 0 || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		t.Fatalf("%q is a request and no more, net/http leaves %q", b, rest)
	}
	if k != kindFast {
		return k
	}
	if r.Method != http.MethodGet || r.URL.RequestURI() != string(fast.Target) ||
		r.URL.EscapedPath() != string(fast.Target) || r.Close || r.Host == "" || r.Host != string(fast.Host) {
		t.Fatalf("%q: net/http reads %s %s, close %v", b, r.Method, r.URL, r.Close)
	}
	for name, got := range map[string][]byte{
		"Accept-Encoding": fast.AcceptEncoding, "If-None-Match": fast.IfNoneMatch,
	} {
		if values := r.Header.Values(name); len(values) > 1 || strings.Join(values, "") != string(got) {
			t.Fatalf("%q: %s is %q, net/http reads %q", b, name, got, values)
		}
	}
	for name := range r.Header {
		if f := meaning([]byte(name)); f == fieldUnknown {
			t.Fatalf("%q: fast, and has the unknown field %s", b, name)
		}
	}
	return k
}

// TestParseAgrees: parse agrees with net/http about requests that are changed at random.
func TestParseAgrees(t *testing.T) {
	t.Parallel()
	parts := []string{
		"GET", "HEAD", "POST", " ", "  ", "/", "//", "/photos/ansel", "/..", "?q=a", "%20", "*", "http://killr/",
		" HTTP/1.1", " HTTP/1.0", "\r\n", "\n", "\r", "\r\n\r\n", "\t", "\x00", "\x7f", "é", ":",
		"Host: killr\r\n", "Host:killr\r\n", "Host: a b\r\n", "host: [::1]:8080\r\n", "Accept-Encoding: br\r\n",
		"accept-encoding: gzip \r\n", "If-None-Match: \"a\"\r\n", "Cookie: a=b\r\n", "Cookie: fresh=b\r\n",
		"Connection: close\r\n", "Connection: keep-alive\r\n", "Content-Length: 0\r\n", "Content-Length: 3\r\n",
		"Content-Length : 3\r\n", "Transfer-Encoding: chunked\r\n", "X-Depends: ?\r\n", "Expect: 100-continue\r\n",
		" folded\r\n", "X_A: b\r\n", "X-A b\r\n", "abc",
	}
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[kind]int{}
	for range 200_000 {
		pieces := []string{
			"GET", " ", "/photos/ansel", " HTTP/1.1", "\r\n", "Host: killr\r\n", "Accept-Encoding: br\r\n", "\r\n",
		}
		for range random.IntN(4) {
			i, piece := random.IntN(len(pieces)), parts[random.IntN(len(parts))]
			switch random.IntN(3) {
			case 0:
				pieces[i] = piece
			case 1:
				pieces = append(pieces[:i], append([]string{piece}, pieces[i:]...)...)
			case 2:
				at := random.IntN(len(pieces[i]) + 1)
				pieces[i] = pieces[i][:at] + piece + pieces[i][at:]
			}
		}
		seen[agrees(t, []byte(strings.Join(pieces, "")))]++
	}
	for k := kindUnparsed; k <= kindFast; k++ {
		if seen[k] < 1000 {
			t.Errorf("kind %d: %d requests of 200,000 are too few to test it", k, seen[k])
		}
	}
}

// FuzzParse: parse agrees with net/http.
func FuzzParse(f *testing.F) {
	f.Add([]byte(rawGet("/photos/ansel", "Accept-Encoding: gzip, br", "If-None-Match: \"a\"")))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: killr\r\nContent-Length: 3\r\n\r\na=b"))
	f.Fuzz(func(t *testing.T, b []byte) { agrees(t, b) })
}

func BenchmarkParse(b *testing.B) {
	text := []byte(rawGet("/photos/ansel", "Connection: keep-alive",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 "+
			"Safari/537.36",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
		"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en"))
	b.ReportAllocs()
	for b.Loop() {
		if _, k := parse(text); k != kindFast {
			b.Fatal(k)
		}
	}
}

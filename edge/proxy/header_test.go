package proxy

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// version2 is a header of version 2: the command and family, and what follows the length.
func version2(command, family byte, rest string) string {
	return string(signature) + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

// Ends of a connection, as in version 2.
const (
	ends4 = "\xc0\x00\x02\x07" + "\xc6\x33\x64\x01" + "\x12\x67" + "\x01\xbb"
	ends6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x12\x67" + "\x01\xbb"
)

// headers are headers, and the client that each names: "" is the proxy itself, and 0.0.0.0 one that it does not know.
var headers = map[string]string{
	"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n":             "192.0.2.7:4711",
	"PROXY TCP4 255.255.255.254 255.255.255.255 65535 65535\r\n": "255.255.255.254:65535",
	"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n":            "[2001:db8::7]:4711",
	"PROXY UNKNOWN\r\n": "0.0.0.0:0",
	"PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n":                                 "0.0.0.0:0",
	version2(commandProxy, familyTCP4, ends4):                                           "192.0.2.7:4711",
	version2(commandProxy, familyTCP6, ends6):                                           "[2001:db8::7]:4711",
	version2(commandProxy, familyTCP4, ends4+"\x03\x00\x04abcd\x20\x00\x00"):            "192.0.2.7:4711",
	version2(commandProxy, familyTCP6, ends6+"\x01\x07\x00"+strings.Repeat("a", 0x700)): "[2001:db8::7]:4711",
	version2(commandLocal, familyNone, ""):                                              "",
	version2(commandLocal, familyTCP4, ends4):                                           "",
	version2(commandProxy, familyNone, "anything"):                                      "0.0.0.0:0",
}

// wrong are headers that are refused.
var wrong = map[string]string{
	"no header":                       "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"TLS":                             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh",
	"lower case":                      "proxy TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
	"no CR":                           "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n",
	"too long":                        "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n",
	"endless":                         "PROXY TCP4 " + strings.Repeat("1", 5000),
	"two spaces":                      "PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n",
	"a space at the end":              "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n",
	"one field missing":               "PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
	"one field more":                  "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 80\r\n",
	"UDP":                             "PROXY UDP4 192.0.2.7 198.51.100.1 4711 443\r\n",
	"another family":                  "PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
	"a name":                          "PROXY TCP4 localhost 198.51.100.1 4711 443\r\n",
	"a zone":                          "PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 443\r\n",
	"leading zero":                    "PROXY TCP4 192.0.2.07 198.51.100.1 4711 443\r\n",
	"port with a leading zero":        "PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n",
	"port with a sign":                "PROXY TCP4 192.0.2.7 198.51.100.1 +4711 443\r\n",
	"port too large":                  "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
	"wrong end of the proxy":          "PROXY TCP4 192.0.2.7 ::1 4711 443\r\n",
	"unspecified":                     "PROXY TCP4 0.0.0.0 198.51.100.1 4711 443\r\n",
	"multicast":                       version2(commandProxy, familyTCP4, "\xe0"+ends4[1:]),
	"UNIX":                            version2(commandProxy, 0x31, strings.Repeat("/", 216)),
	"UNIX datagrams":                  version2(commandProxy, 0x32, strings.Repeat("/", 216)),
	"UDP, version 2":                  version2(commandProxy, 0x12, ends4),
	"unknown family":                  version2(commandProxy, 0x41, ends4),
	"unknown command":                 version2(0x22, familyTCP4, ends4),
	"version 1 as binary":             version2(0x11, familyTCP4, ends4),
	"version 3":                       version2(0x31, familyTCP4, ends4),
	"addresses too short":             version2(commandProxy, familyTCP4, ends4[:11]),
	"IPv6 with addresses of IPv4":     version2(commandProxy, familyTCP6, ends4),
	"too long, version 2":             version2(commandProxy, familyTCP4, ends4+strings.Repeat("\x00", maxVersion2)),
	"an added value is cut off":       version2(commandProxy, familyTCP4, ends4+"\x03\x00\x04abc"),
	"the head of a value is cut off":  version2(commandProxy, familyTCP4, ends4+"\x03\x00"),
	"a value that claims to be large": version2(commandProxy, familyTCP4, ends4+"\x03\xff\xff"),
}

// TestHeaders: a header is read as a whole, and not a byte more.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for header, want := range headers {
		r := strings.NewReader(header + "GET / HTTP/1.1\r\n")
		got, err := readHeader(r)
		if err != nil || got != addrPort(t, want) {
			t.Errorf("%.60q: %v, %v, want %q", header, got, err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "GET / HTTP/1.1\r\n" {
			t.Errorf("%.60q: then %q", header, rest)
		}
		for cut := range len(header) {
			_, err := readHeader(strings.NewReader(header[:cut]))
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%.60q, cut after %d bytes: %v", header, cut, err)
			}
		}
	}
	for name, header := range wrong {
		if got, err := readHeader(strings.NewReader(header)); !errors.Is(err, errHeader) || got.IsValid() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func addrPort(t *testing.T, text string) (addr netip.AddrPort) {
	t.Helper()
	if text == "" {
		return addr
	}
	return netip.MustParseAddrPort(text)
}

// FuzzHeader: whatever a proxy sends, a client has an address that limits can count, and few bytes are read.
func FuzzHeader(f *testing.F) {
	for header := range headers {
		f.Add([]byte(header))
	}
	for _, header := range wrong {
		f.Add([]byte(header))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := bytes.NewReader(sent)
		client, err := readHeader(r)
		read := len(sent) - r.Len()
		if read > len(signature)+4+maxVersion2 {
			t.Errorf("%d bytes are read", read)
		}
		wrongAddr := client.Addr().IsUnspecified() && client != unknown || client.Addr().Is4In6()
		if client.IsValid() && (err != nil || wrongAddr) {
			t.Errorf("%s: %v, %v", hex.EncodeToString(sent), client, err)
		}
		again, wrong := readHeader(bytes.NewReader(sent[:read]))
		if again != client || (wrong == nil) != (err == nil) {
			t.Errorf("%s: %v, then %v", hex.EncodeToString(sent), client, again)
		}
	})
}

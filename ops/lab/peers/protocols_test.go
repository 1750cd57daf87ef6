package peers

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"strings"
	"testing"
)

func TestTableOfProtocols(t *testing.T) {
	t.Parallel()
	r := &run{cfg: Config{Protocols: &Protocols{}}, peers: []*peer{
		{name: oursNear, protocol: h1, found: true, rounds: rounds(0, 10, 10, 14)},
		{name: nginxFile, protocol: h1, found: true, rounds: rounds(0, 20, 20, 20)},
		{name: oursNear, protocol: h2TLS, found: true, rounds: rounds(0, 30)},
		{name: nginxFile, protocol: h2TLS, found: true, rounds: rounds(0, 12)},
		{name: plainNginx, program: "nginx", protocol: h1, cold: true},
		{name: oursTogether, protocol: h1, found: true, cold: true, rounds: rounds(0, 90)},
		{name: oursNetHTTP, protocol: h1, found: true, cold: true, rounds: rounds(0, 100)},
	}}
	res := r.result(3)
	met := map[string]bool{}
	for _, target := range res.Targets {
		if target.Ratio > 0 {
			met[target.Protocol+" "+target.Of] = target.Met
		}
	}
	want := map[string]bool{
		"h1 " + oursNear: true, "h2+TLS " + oursNear: false, "h1 " + oursTogether: true,
	}
	if !maps.Equal(met, want) {
		t.Errorf("known and met: %v, want %v", met, want)
	}
	var b strings.Builder
	if err := res.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"10.0   0.50           10-14", "30.0   2.50", "nginx is not installed", "2.50  missed", "not known", "0.90  met",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestKeyPair(t *testing.T) {
	t.Parallel()
	pair, err := MakeKeyPair(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	read, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if read.Leaf.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("a key of %s", read.Leaf.PublicKeyAlgorithm)
	}
	r := &run{cfg: Config{Protocols: &Protocols{KeyPair: pair}}}
	text := fileConfig(r.listen("127.0.0.1:1", true), "/srv", "gzip_static on;")
	for _, want := range []string{
		"listen 127.0.0.1:1 ssl http2;", "ssl_certificate " + pair.Certificate + ";",
		"ssl_certificate_key " + pair.Key + ";", "gzip_static on;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text := fileConfig(r.listen("127.0.0.1:1", false), "/srv", ""); strings.Contains(text, "ssl") {
		t.Errorf("TLS, which was not asked for:\n%s", text)
	}
}

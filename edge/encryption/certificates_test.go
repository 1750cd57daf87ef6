package encryption

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// files are a pair of files in a directory of the test.
func files(t *testing.T, name string, of *tls.Certificate) KeyPair {
	t.Helper()
	dir := t.TempDir()
	pair := KeyPair{Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
	testenv.WriteCertificate(t, pair.Certificate, of)
	testenv.WriteKey(t, pair.Key, of)
	return pair
}

func certificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	made, _ := testenv.Certificate(t, name, time.Now().Add(time.Hour))
	return made
}

func rsaCertificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	made, _ := testenv.CertificateOf(t, key, name, time.Now().Add(time.Hour))
	return made
}

// connected are the ends of a connection. Both may write at once, as in TLS 1.3: those of a net.Pipe would wait.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if client, err = net.Dial("tcp", lis.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

// shown returns the certificate that a client gets.
func shown(t *testing.T, c *Certificates, client *tls.Config) *x509.Certificate {
	t.Helper()
	client = client.Clone()
	client.InsecureSkipVerify = true //nolint:gosec // the test compares the certificate itself
	ours, theirs := connected(t)
	go func() { _ = tls.Server(theirs, &tls.Config{GetCertificate: c.Get}).Handshake() }()
	conn := tls.Client(ours, client)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0]
}

// TestChoice: a client gets a certificate for its name, of ECDSA if it can, and the first one for an unknown name.
func TestChoice(t *testing.T) {
	t.Parallel()
	old, modern := rsaCertificate(t, "photos.example"), certificate(t, "photos.example")
	other := certificate(t, "other.example")
	c, err := LoadCertificates([]KeyPair{files(t, "rsa", old), files(t, "ecdsa", modern), files(t, "other", other)},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	onlyRSA := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for name, try := range map[string]struct {
		client *tls.Config
		want   *tls.Certificate
	}{
		"1.3": {&tls.Config{ServerName: "photos.example"}, modern},
		"1.2": {&tls.Config{ServerName: "photos.example", MaxVersion: tls.VersionTLS12}, modern},
		"without ECDSA": {
			&tls.Config{ServerName: "photos.example", MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, old,
		},
		"another name":      {&tls.Config{ServerName: "other.example"}, other},
		"unknown name":      {&tls.Config{ServerName: "unknown.example"}, modern},
		"no name":           {&tls.Config{}, modern},
		"no name, no ECDSA": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, old},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := shown(t, c, try.client); !got.Equal(try.want.Leaf) {
				t.Errorf("%v %v, want %v %v", got.DNSNames, got.PublicKeyAlgorithm, try.want.Leaf.DNSNames,
					try.want.Leaf.PublicKeyAlgorithm)
			}
		})
	}
}

// TestChange: changed files are in use without a restart, and those that cannot be used are not.
func TestChange(t *testing.T) {
	t.Parallel()
	first, second, third := certificate(t, "a.example"), certificate(t, "a.example"), certificate(t, "a.example")
	pair := files(t, "site", first)
	said := testenv.NewOutput()
	c, err := LoadCertificates([]KeyPair{pair}, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	want := func(cert *tls.Certificate, words ...string) {
		t.Helper()
		if got := shown(t, c, &tls.Config{}); !got.Equal(cert.Leaf) {
			t.Error("another certificate is shown")
		}
		for _, word := range words {
			if !strings.Contains(said.String(), word) {
				t.Errorf("the log does not say %q: %s", word, said)
			}
		}
	}
	want(first)
	c.Reload()
	want(first, "the files are as before")
	testenv.WriteCertificate(t, pair.Certificate, second)
	if !c.renew() {
		t.Error("the change is not seen")
	}
	want(first, "the one before it stays in use", pair.Key, "does not match")
	if c.renew() {
		t.Error("the same mistake is told twice")
	}
	testenv.WriteKey(t, pair.Key, second)
	c.renew()
	want(second, "is in use")
	half, err := os.ReadFile(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pair.Certificate, half[:len(half)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	c.renew()
	want(second)
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	c.renew()
	want(second, "no such file")
	// By itself, without Reload:
	c.every = time.Millisecond
	done := make(chan struct{})
	go func() { defer close(done); c.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	testenv.WriteCertificate(t, pair.Certificate, third)
	testenv.WriteKey(t, pair.Key, third)
	testenv.Eventually(t, "the new certificate is shown", func() bool {
		return shown(t, c, &tls.Config{}).Equal(third.Leaf)
	})
	if got := c.Expiry(); !got.Equal(third.Leaf.NotAfter) {
		t.Errorf("it expires at %v, want %v", got, third.Leaf.NotAfter)
	}
}

// TestNotLoaded: an edge does not start with files that it cannot use, and says which. It warns of one that is over.
func TestNotLoaded(t *testing.T) {
	t.Parallel()
	good, other := files(t, "good", certificate(t, "a.example")), files(t, "other", certificate(t, "a.example"))
	for _, wrong := range []KeyPair{
		{good.Certificate, other.Key}, {good.Key, good.Certificate}, {good.Certificate, "/none"}, {"/none", good.Key},
	} {
		_, err := LoadCertificates([]KeyPair{good, wrong}, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%v is taken", wrong)
		} else if got := err.Error(); !strings.Contains(got, wrong.Certificate) && !strings.Contains(got, wrong.Key) {
			t.Errorf("%v: error %v", wrong, err)
		}
	}
	over, _ := testenv.Certificate(t, "127.0.0.1", time.Now().Add(-time.Minute))
	said := testenv.NewOutput()
	_, err := LoadCertificates([]KeyPair{files(t, "over", over)}, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(said.String(), "over.pem") || !strings.Contains(said.String(), "not valid now") {
		t.Errorf("no warning: %s", said)
	}
}

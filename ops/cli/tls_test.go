package cli

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// TestHangup: an edge reads its certificates again at a SIGHUP, and goes on. Without certificates SIGHUP ends it.
func TestHangup(t *testing.T) {
	t.Parallel()
	away := []string{"edge", "--addr", "127.0.0.1:0", "--nats", "nats://" + closedPort(t)}
	cert, key := testenv.CertificateFiles(t)
	edge := testenv.StartProcess(t, nil, append(away, "--tls-cert", cert, "--tls-key", key)...)
	line := edge.WaitLine(t, edge.Stderr, "listening", "role=edge")
	_, addr, _ := strings.Cut(line, "addr=")
	shown := func() *x509.Certificate {
		t.Helper()
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it compares it itself
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	}
	before := shown()
	edge.Signal(t, syscall.SIGHUP)
	edge.WaitLine(t, edge.Stderr, "the files are as before")
	if !shown().Equal(before) {
		t.Error("the certificate has changed")
	}
	next, _ := testenv.Certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	testenv.WriteKey(t, key, next)
	testenv.WriteCertificate(t, cert, next)
	edge.Signal(t, syscall.SIGHUP)
	edge.WaitLine(t, edge.Stderr, "has changed and is in use")
	if !shown().Equal(next.Leaf) {
		t.Error("the new certificate is not shown")
	}
	if status := edge.Stop(t); status != 0 {
		t.Errorf("status %d", status)
	}

	plain := testenv.StartProcess(t, nil, away...)
	plain.WaitLine(t, plain.Stderr, "listening", "role=edge")
	plain.Signal(t, syscall.SIGHUP)
	if status := plain.Wait(t); status != 0 {
		t.Errorf("without certificates: status %d", status)
	}
}

// TestTLSFlags: flags about encryption that do not fit together are refused, with what to do.
func TestTLSFlags(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"give a key for each certificate":         {"--tls-cert", "a.pem", "--tls-cert", "b.pem", "--tls-key", "a.key"},
		"give --tls-cert or --acme":               {"--acme", "a.example", "--tls-cert", "a.pem", "--tls-key", "a.key"},
		"with a dot":                              {"--acme", "localhost"},
		"name a domain":                           {"--acme-email", "me@photos.example"},
		"--redirect-addr sends visitors to HTTPS": {"--redirect-addr", "127.0.0.1:0"},
		"--hsts-subdomains and --hsts 8760h":      {"--hsts-preload", "--hsts-subdomains"},
	} {
		for _, command := range []string{"edge", "up"} {
			p := testenv.StartProcess(t, nil, append([]string{"--data", t.TempDir(), command}, args...)...)
			if status := p.Wait(t); status != 2 || !strings.Contains(p.Stderr.String(), want) {
				t.Errorf("%s %q: status %d, %s", command, args, status, p.Stderr)
			}
		}
	}
}

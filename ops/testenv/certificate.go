package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate makes a certificate for an address, valid from an hour ago until a time, and who trusts it.
func Certificate(t testing.TB, address string, until time.Time) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return CertificateOf(t, key, address, until)
}

// CertificateOf is Certificate for a key, and for an address or a name.
func CertificateOf(t testing.TB, key crypto.Signer, name string, until time.Time) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(signed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: signed}, roots
}

// CertificateFiles makes a certificate for 127.0.0.1 and a day, and returns the files of it and of its key, in PEM.
func CertificateFiles(t testing.TB) (certificate, key string) {
	t.Helper()
	made, _ := Certificate(t, "127.0.0.1", time.Now().Add(24*time.Hour))
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	WriteCertificate(t, certificate, made)
	WriteKey(t, key, made)
	return certificate, key
}

// WriteCertificate writes a certificate to a file, in PEM.
func WriteCertificate(t testing.TB, path string, of *tls.Certificate) {
	t.Helper()
	writePEM(t, path, "CERTIFICATE", of.Certificate[0])
}

// WriteKey writes the key of a certificate to a file, in PEM.
func WriteKey(t testing.TB, path string, of *tls.Certificate) {
	t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(of.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "PRIVATE KEY", private)
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

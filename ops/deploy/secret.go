package deploy

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flickrkillr/schema/wire"
)

// secretBeside is the file of the secret from which all passwords and keys of the hosts' PostgreSQL and etcd are made,
// beside site.toml. So machines that deploy agree on all of them, and another host gets its own without another file.
const secretBeside = "postgres.secret"

// secretBytes is the length of the secret, which the file has in hexadecimal.
const secretBytes = 32

// secret is what all passwords and keys of PostgreSQL and etcd are made from.
type secret []byte

// makeSecret reads the secret of the hosts' PostgreSQL, or makes one if no host has a PostgreSQL yet. A plan writes
// none.
func (d *deployment) makeSecret() error {
	if len(d.Site.with(rolePostgres)) == 0 {
		return nil
	}
	path := filepath.Join(filepath.Dir(d.Site.Path), secretBeside)
	made, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.noneHas(rolePostgres, "PostgreSQL", "secret is not "+path+": copy that file"); err != nil {
			return err
		}
		made, err = newSecret(path, d.Plan)
	}
	if err != nil {
		return err
	}
	site := *d.Site // the caller has the other one
	site.secret, site.Services.Postgres = made, site.databaseURL(made)
	d.Site = &site
	return nil
}

func readSecret(path string) (secret, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	made, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(made) != secretBytes {
		return nil, fmt.Errorf("%s has no secret of %d hexadecimal digits: copy it from another machine that deploys",
			path, 2*secretBytes)
	}
	return made, nil
}

// newSecret makes a secret, and writes it unless it is for a plan.
func newSecret(path string, plan bool) (secret, error) {
	made := make(secret, secretBytes)
	if _, err := rand.Read(made); err != nil {
		return nil, err
	}
	if plan {
		return made, nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(file, hex.EncodeToString(made))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return made, nil
}

// key makes n bytes for a purpose.
func (s secret) key(purpose string, n int) []byte {
	key, err := hkdf.Key(sha256.New, s, nil, "killr "+purpose, n)
	if err != nil {
		panic(err) // n is small
	}
	return key
}

// password is one that needs no quotes anywhere.
func (s secret) password(purpose string) string {
	return hex.EncodeToString(s.key("password "+purpose, 20))
}

// Certificates are for good: they are made anew from the secret each time, and have to be the same.
var (
	certificatesBegin = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	certificatesEnd   = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
)

// certificates are the files by which etcd and Patroni of a host know those of other hosts, and nobody else: an
// authority, a certificate for the host's address, as a server and as a client, and its key. They are always the same.
func (s secret) certificates(address string) (map[string][]byte, error) {
	authorityKey := ed25519.NewKeyFromSeed(s.key("authority", ed25519.SeedSize))
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Flickr Killr's hosts"},
		NotBefore: certificatesBegin, NotAfter: certificatesEnd,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityDER, err := x509.CreateCertificate(nil, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(s.key("host "+address, ed25519.SeedSize))
	own := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(s.key("serial "+address, 8)), Subject: pkix.Name{CommonName: address},
		NotBefore: certificatesBegin, NotAfter: certificatesEnd,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(address); ip != nil {
		own.IPAddresses = []net.IP{ip}
	} else {
		own.DNSNames = []string{address}
	}
	ownDER, err := x509.CreateCertificate(nil, own, authority, key.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return map[string][]byte{
		"ca": text("CERTIFICATE", authorityDER), "cert": text("CERTIFICATE", ownDER),
		"key": text("PRIVATE KEY", keyDER),
	}, nil
}

// noneHas refuses to make the keys of a service while a host has one with other keys, or may have.
func (d *deployment) noneHas(role wire.Role, what, whose string) error {
	const from = " from the machine that deployed before"
	for _, h := range d.Site.Hosts {
		s := d.have[h.Name]
		if s == nil && !h.Runs(role) {
			continue
		}
		if s == nil {
			return fmt.Errorf("%s is left out, and may run a %s whose %s%s", h.Name, what, whose, from)
		}
		was := len(s.of(role)) > 0
		for _, config := range s.configs {
			was = was || config[role] != ""
		}
		if was {
			return fmt.Errorf("%s runs a %s whose %s%s", h.Name, what, whose, from)
		}
	}
	return nil
}

package encryption

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/schema/sleep"
)

// KeyPair names the files of a certificate, with the chain that belongs to it, and of its key, both in PEM.
type KeyPair struct{ Certificate, Key string }

// Certificates are the certificates of an edge, in files. It reads files that have changed again. A pair that cannot be
// used, such as a certificate whose new key is not written yet, does not replace the one before it.
type Certificates struct {
	log   *slog.Logger
	every time.Duration // how often the files are read

	reading sync.Mutex // guards pairs
	pairs   []*pair
	usable  atomic.Pointer[[]*tls.Certificate] // in the order in which they are offered
}

type pair struct {
	files KeyPair
	tried [sha256.Size]byte // the content that was read last, whether it can be used or not
	cert  *tls.Certificate
}

// filesEvery is how often the files are read. They are a few kilobytes: reading them costs less than a request.
const filesEvery = 5 * time.Second

// LoadCertificates reads the files. Errors name the file, and say what is wrong with it.
func LoadCertificates(files []KeyPair, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{log: log, every: filesEvery}
	for _, f := range files {
		p := &pair{files: f}
		if _, err := p.read(); err != nil {
			return nil, err
		}
		c.warn(p)
		c.pairs = append(c.pairs, p)
	}
	c.use()
	return c, nil
}

// Run reads files that have changed until ctx ends.
func (c *Certificates) Run(ctx context.Context) {
	for sleep.For(ctx, c.every) {
		c.renew()
	}
}

// Reload reads the files now, and logs what it found.
func (c *Certificates) Reload() {
	if !c.renew() {
		c.log.Info("the TLS certificates are read again: the files are as before")
	}
}

// renew reads the files and reports whether one has changed.
func (c *Certificates) renew() (changed bool) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for _, p := range c.pairs {
		different, err := p.read()
		switch {
		case !different:
			continue
		case err != nil:
			c.log.Error("a TLS certificate has changed and cannot be used: the one before it stays in use", "err", err,
				"expires", p.cert.Leaf.NotAfter)
		default:
			c.log.Info("a TLS certificate has changed and is in use", "path", p.files.Certificate,
				"names", p.cert.Leaf.DNSNames, "expires", p.cert.Leaf.NotAfter)
			c.warn(p)
		}
		changed = true
	}
	c.use()
	return changed
}

// read reads the files of a pair; different is false if they are as they were when they were last read.
func (p *pair) read() (different bool, err error) {
	hash := sha256.New()
	content := func(path string) (b []byte) {
		if err == nil {
			b, err = os.ReadFile(path)
		}
		fmt.Fprintf(hash, "%d %v\n%s", len(b), err, b)
		return b
	}
	cert, key := content(p.files.Certificate), content(p.files.Key)
	now := [sha256.Size]byte(hash.Sum(nil))
	if now == p.tried {
		return false, nil
	}
	p.tried = now
	if err != nil {
		return true, fmt.Errorf("the TLS certificate: %w", err)
	}
	made, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return true, fmt.Errorf("the TLS certificate %s with the key %s: %w", p.files.Certificate, p.files.Key, err)
	}
	p.cert = &made
	return true, nil
}

// warn tells of a certificate that clients refuse.
func (c *Certificates) warn(p *pair) {
	leaf, now := p.cert.Leaf, time.Now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		c.log.Warn("browsers refuse a TLS certificate: it is not valid now", "path", p.files.Certificate,
			"from", leaf.NotBefore, "until", leaf.NotAfter)
	}
}

// use offers the current certificates. A client that takes ECDSA gets it before RSA: to sign costs the edge a tenth.
func (c *Certificates) use() {
	var all []*tls.Certificate
	for _, p := range c.pairs {
		all = append(all, p.cert)
	}
	rank := func(cert *tls.Certificate) int {
		switch cert.PrivateKey.(type) {
		case *ecdsa.PrivateKey:
			return 0
		case *rsa.PrivateKey:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *tls.Certificate) int { return rank(a) - rank(b) })
	c.usable.Store(&all)
}

// Get is for [tls.Config.GetCertificate]: the first certificate for the name and the signatures of a client. A client
// with another name, or none, gets the first one whose signatures it takes.
func (c *Certificates) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := *c.usable.Load()
	anyName := *hello
	anyName.ServerName = ""
	for _, client := range []*tls.ClientHelloInfo{hello, &anyName} {
		for _, cert := range all {
			if client.SupportsCertificate(cert) == nil {
				return cert, nil
			}
		}
	}
	return all[0], nil // crypto/tls says what client and server do not agree on
}

// Expiry is when the first of the certificates expires.
func (c *Certificates) Expiry() time.Time {
	first := (*c.usable.Load())[0].Leaf.NotAfter
	for _, cert := range (*c.usable.Load())[1:] {
		if cert.Leaf.NotAfter.Before(first) {
			first = cert.Leaf.NotAfter
		}
	}
	return first
}

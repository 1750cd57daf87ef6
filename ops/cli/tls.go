package cli

import (
	"errors"
	"fmt"
	"time"

	"flickrkillr/edge"
	"flickrkillr/edge/encryption"
)

// tlsFlags are the flags of an edge about encryption.
type tlsFlags struct {
	TLSCert        []string      `type:"path" placeholder:"FILE" help:"Serve HTTPS with this certificate and its chain, in PEM; repeat it for others, such as one of ECDSA and one of RSA. Files that change are read again, and on SIGHUP. Needs --tls-key."`
	TLSKey         []string      `type:"path" placeholder:"FILE" help:"Key of the certificate, in PEM; as many as there are certificates, in the same order."`
	RedirectAddr   string        `placeholder:"HOST:PORT" help:"Send visitors who come here without TLS to HTTPS, at the same host or its --origin (default: nowhere)."`
	HSTS           time.Duration `name:"hsts" default:"4380h" min:"0s" max:"26280h" placeholder:"TIME" help:"Within TLS, tell browsers to use nothing else at this host for this long (default ${default}; 0: do not tell them)."`
	HSTSSubdomains bool          `name:"hsts-subdomains" help:"Say so of all hosts below this one, too."`
	HSTSPreload    bool          `name:"hsts-preload" help:"Allow browsers to have the host in a list that they come with. Hard to undo. Needs --hsts-subdomains and a year."`
}

// check refuses flags that do not fit together.
func (f *tlsFlags) check() error {
	if len(f.TLSCert) != len(f.TLSKey) {
		return errors.New("--tls-cert and --tls-key belong together: give a key for each certificate, in their order")
	}
	if f.RedirectAddr != "" && !f.encrypts() {
		return errors.New("--redirect-addr sends visitors to HTTPS, which this edge does not speak: " +
			"add --tls-cert and --tls-key")
	}
	if err := f.hsts().Check(); err != nil {
		return fmt.Errorf("--hsts: %w", err)
	}
	return nil
}

func (f *tlsFlags) encrypts() bool { return len(f.TLSCert) > 0 }

func (f *tlsFlags) hsts() edge.HSTS {
	return edge.HSTS{MaxAge: f.HSTS, Subdomains: f.HSTSSubdomains, Preload: f.HSTSPreload}
}

// certificates are the files that the flags name.
func (f *tlsFlags) certificates() (all []encryption.KeyPair) {
	for i, cert := range f.TLSCert {
		all = append(all, encryption.KeyPair{Certificate: cert, Key: f.TLSKey[i]})
	}
	return all
}

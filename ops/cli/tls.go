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
	ACME           []string      `name:"acme" placeholder:"DOMAIN" help:"Serve HTTPS with certificates that a CA gives by ACME for this name; repeat it for others. Visitors and the CA reach the site by that name, at port 443, or at 80 with --redirect-addr. To say so is to agree to the CA's terms."`
	ACMEDirectory  string        `name:"acme-directory" placeholder:"URL" help:"Directory of the CA (default: that of Let's Encrypt)."`
	ACMEEmail      string        `name:"acme-email" placeholder:"ADDRESS" help:"Address to which the CA may write about problems (default: none)."`
	ACMERoots      string        `name:"acme-roots" type:"path" placeholder:"FILE" help:"Certificates, in PEM, by which the directory of a private CA is known (default: those of this machine)."`
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
	if len(f.ACME) > 0 && len(f.TLSCert) > 0 {
		return errors.New("certificates are from files or from a CA: give --tls-cert or --acme, not both")
	}
	if err := f.authority().Check(); err != nil {
		return fmt.Errorf("--acme: %w", err)
	}
	if f.RedirectAddr != "" && !f.encrypts() {
		return errors.New("--redirect-addr sends visitors to HTTPS, which this edge does not speak: " +
			"add --tls-cert and --tls-key, or --acme")
	}
	if err := f.hsts().Check(); err != nil {
		return fmt.Errorf("--hsts: %w", err)
	}
	if f.RedirectAddr != "" {
		return checkAddr("--redirect-addr", f.RedirectAddr)
	}
	return nil
}

func (f *tlsFlags) encrypts() bool { return len(f.TLSCert) > 0 || len(f.ACME) > 0 }

func (f *tlsFlags) authority() encryption.Authority {
	return encryption.Authority{Domains: f.ACME, Directory: f.ACMEDirectory, Email: f.ACMEEmail, Roots: f.ACMERoots}
}

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

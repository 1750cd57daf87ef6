package cli

import (
	"errors"

	"flickrkillr/edge/encryption"
)

// tlsFlags are the flags of an edge about encryption.
type tlsFlags struct {
	TLSCert []string `type:"path" placeholder:"FILE" help:"Serve HTTPS with this certificate and its chain, in PEM; repeat it for others, such as one of ECDSA and one of RSA. Files that change are read again, and on SIGHUP. Needs --tls-key."`
	TLSKey  []string `type:"path" placeholder:"FILE" help:"Key of the certificate, in PEM; as many as there are certificates, in the same order."`
}

// check refuses flags that do not fit together.
func (f *tlsFlags) check() error {
	if len(f.TLSCert) != len(f.TLSKey) {
		return errors.New("--tls-cert and --tls-key are needed together: give a key for each certificate, in the same order")
	}
	return nil
}

// certificates are the files that the flags name.
func (f *tlsFlags) certificates() (all []encryption.KeyPair) {
	for i, cert := range f.TLSCert {
		all = append(all, encryption.KeyPair{Certificate: cert, Key: f.TLSKey[i]})
	}
	return all
}

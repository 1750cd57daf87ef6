package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/acme"

	"flickrkillr/edge/encryption"
)

// Encrypts reports whether an edge with this configuration speaks TLS.
func (c *Config) Encrypts() bool { return len(c.Certificates) > 0 || len(c.Authority.Domains) > 0 }

// checkCertificates refuses certificates from two places.
func (c *Config) checkCertificates() error {
	if len(c.Certificates) > 0 && len(c.Authority.Domains) > 0 {
		return errors.New("certificates are from files or from the CA, not from both")
	}
	return c.Authority.Check()
}

// encryption is how connections are encrypted; nil: not at all. Records are as large as they may be, so that most pages
// are one, sent by one write.
func (s *Server) encryption() (_ *tls.Config, err error) {
	if !s.cfg.Encrypts() {
		return nil, nil
	}
	now := s.clusterTime
	config := &tls.Config{
		NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		DynamicRecordSizingDisabled: true,
	}
	if len(s.cfg.Certificates) > 0 {
		if s.certs, err = encryption.LoadCertificates(s.cfg.Certificates, s.log); err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
		config.GetCertificate = s.certs.Get
		s.metrics.watchCertificates(s.certs.Expiry)
	} else {
		if s.ordered, err = encryption.NewOrdered(s.cfg.Authority, s.cfg.NATS, now, s.log); err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
		config.GetCertificate = s.ordered.Get
		config.NextProtos = append(config.NextProtos, acme.ALPNProto)
		s.metrics.watchCertificates(s.ordered.Expiry)
	}
	s.tickets = encryption.NewTickets(s.cfg.NATS, now, config.SetSessionTicketKeys, s.log)
	return config, nil
}

// clusterTime is known if a heartbeat has told it, and this machine's clock was not set since then.
func (s *Server) clusterTime() (now time.Time, known bool) {
	clock := s.pages.tracker.Clock()
	earliest, latest := clock.Bounds(time.Now())
	return latest, clock.Known() && latest.Sub(earliest) < time.Minute
}

// encryptionParts are what runs beside an edge that encrypts.
func (s *Server) encryptionParts() (parts []func(context.Context)) {
	if s.certs != nil {
		parts = append(parts, s.certs.Run)
	}
	if s.ordered != nil {
		parts = append(parts, s.ordered.Run)
	}
	if s.plain != nil {
		parts = append(parts, s.plain.run)
	}
	if s.tickets != nil {
		parts = append(parts, s.tickets.Run)
	}
	return parts
}

// ReloadCertificates reads the certificates again, which happens by itself some seconds after they have changed.
func (s *Server) ReloadCertificates() {
	if s.certs != nil {
		s.certs.Reload()
	}
}

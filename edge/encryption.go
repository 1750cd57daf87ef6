package edge

import (
	"context"
	"crypto/tls"
	"fmt"

	"flickrkillr/edge/encryption"
)

// Encrypts reports whether an edge with this configuration speaks TLS.
func (c *Config) Encrypts() bool { return len(c.Certificates) > 0 }

// encryption is how connections are encrypted; nil: not at all. Records are as large as they may be, so that most pages
// are one, sent by one write.
func (s *Server) encryption() (_ *tls.Config, err error) {
	if !s.cfg.Encrypts() {
		return nil, nil
	}
	if s.certs, err = encryption.LoadCertificates(s.cfg.Certificates, s.log); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	s.metrics.watchCertificates(s.certs)
	config := &tls.Config{
		GetCertificate: s.certs.Get, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		DynamicRecordSizingDisabled: true,
	}
	s.tickets = encryption.NewTickets(s.cfg.NATS, s.pages.tracker.Clock().Now, config.SetSessionTicketKeys, s.log)
	return config, nil
}

// encryptionParts are what runs beside an edge that encrypts.
func (s *Server) encryptionParts() (parts []func(context.Context)) {
	if s.certs != nil {
		parts = append(parts, s.certs.Run)
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

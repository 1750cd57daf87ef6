// Package encryption has what an edge needs for TLS besides crypto/tls.
//
// **Input**: files with certificates; JetStream KV, with keys of session tickets and ordered certificates; a CA.
// **Output**: the certificate for a client, and the keys for crypto/tls. **Must not touch**: connections, HTTP but
// that of a CA, pages.
//
//	certificates.go   certificates in files, read again when they change
//	acme.go           certificates that a CA gives; acmestore.go: where edges find them, and whose turn it is
//	authority.go      the CA, and how it is asked
//	tickets.go        keys of session tickets, which all edges share
package encryption

// Package encryption has what an edge needs for TLS besides crypto/tls.
//
// **Input**: files with certificates, and keys of session tickets in JetStream KV. **Output**: the certificate for a
// client, and the keys for crypto/tls. **Must not touch**: connections, HTTP, pages.
//
//	certificates.go   certificates in files, read again when they change
//	tickets.go        keys of session tickets, which all edges share
package encryption

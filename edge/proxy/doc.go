// Package proxy reads what trusted proxies in front of an edge say about its clients. What others say is ignored.
//
// **Input**: connections that begin with a header of the PROXY protocol; values of X-Forwarded-For or Forwarded.
// **Output**: addresses of clients. **Must not touch**: what follows the header.
//
//	networks.go    which addresses are trusted
//	header.go      the header of the PROXY protocol, versions 1 and 2
//	listener.go    a listener whose connections begin with it
//	forwarded.go   the address in header fields of HTTP
package proxy

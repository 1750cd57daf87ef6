package fastpath

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"golang.org/x/net/http2"
)

// plainAnswer is for a client that speaks HTTP where TLS is spoken.
const plainAnswer = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis port speaks HTTPS.\n"

// shakeHands begins the encryption of a connection, within the time for a request's header. net/http does not know that
// a connection is encrypted: it would take HTTP/2 within TLS away from the fast path.
func (c *conn) shakeHands() error {
	c.encrypts = false
	encrypted := c.Conn.(*tls.Conn)
	if c.address.InDebt(time.Now()) && c.wait(handshakeCost, func() bool { return false }) != nil {
		return io.EOF
	}
	if err := encrypted.SetDeadline(time.Now().Add(c.server.cfg.HeaderTimeout)); err != nil {
		return err
	}
	if err := encrypted.Handshake(); err != nil {
		c.server.cfg.Log.Debug("the client and this server do not agree on TLS", "from", c.RemoteAddr(), "err", err)
		plain, ok := errors.AsType[tls.RecordHeaderError](err)
		if ok && plain.Conn != nil && isHTTP(plain.RecordHeader) {
			_, _ = io.WriteString(plain.Conn, plainAnswer)
		}
		return io.EOF // to which net/http answers nothing
	}
	return encrypted.SetWriteDeadline(time.Time{})
}

// agreedOnHTTP2 reports whether client and server have agreed on HTTP/2, by ALPN.
func (c *conn) agreedOnHTTP2() bool {
	encrypted, ok := c.Conn.(*tls.Conn)
	return ok && encrypted.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS
}

// isHTTP reports whether the first bytes of a connection begin a request of HTTP/1.
func isHTTP(first [5]byte) bool {
	switch string(first[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

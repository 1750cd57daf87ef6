package fastpath

import "bytes"

// net/http answers requests that it cannot read by itself, with these headers only: 400, 431, 501 and 505.
var (
	serverErrorHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
	expectationFailed  = []byte("HTTP/1.1 417 ")
)

// Write adds [Config.ErrorHeader] to the answers that net/http gives before its handler has the request.
func (c *conn) Write(p []byte) (int, error) {
	switch {
	case c.http2 != nil:
		return c.http2.out.write(p)
	case c.handled.Load():
		return c.Conn.Write(p)
	}
	line := bytes.IndexByte(p, '\r')
	if line < 0 || !bytes.HasPrefix(p, expectationFailed) && !bytes.HasPrefix(p[line:], serverErrorHeaders) {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(bytes.Join([][]byte{p[:line], c.server.cfg.ErrorHeader, p[line:]}, nil)); err != nil {
		return 0, err
	}
	return len(p), nil
}

package edge

import "bytes"

// net/http answers what it cannot read by itself, with nothing but these headers behind the status line: 400, 431, 501 and 505.
var (
	ownErrorHeaders   = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
	expectationFailed = []byte("HTTP/1.1 417 ")
)

// safeHeaders are added to those.
var safeHeaders = func() (b []byte) {
	line := func(name string, value []string) {
		b = append(append(append(append(b, "\r\n"...), name...), ": "...), value[0]...)
	}
	line("X-Content-Type-Options", nosniff)
	line("Cache-Control", cacheNever)
	secure(line)
	return b
}()

// Write adds the headers that all errors have to those answers that net/http gives before a handler has the request.
func (c *expressConn) Write(p []byte) (int, error) {
	if c.handled.Load() {
		return c.Conn.Write(p)
	}
	line := bytes.IndexByte(p, '\r')
	if line < 0 || !bytes.HasPrefix(p, expectationFailed) && !bytes.HasPrefix(p[line:], ownErrorHeaders) {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(bytes.Join([][]byte{p[:line], safeHeaders, p[line:]}, nil)); err != nil {
		return 0, err
	}
	return len(p), nil
}

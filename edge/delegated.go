package edge

import "net/http"

// reason says why net/http and the handler answer a request and the fast path does not. Its text is the label of
// killr_edge_delegated_requests_total.
type reason uint8

const (
	reasonNone           reason = iota // none was noted: for a delegated request, a mistake of this package
	reasonOff                          // Config.NoFastPath
	reasonTLS                          // the connection is encrypted
	reasonHTTP2                        //
	reasonUnparsed                     // the connection has brought something foreign to readPlain, such as a body
	reasonHead                         // the method is HEAD
	reasonQuery                        // the target has a query
	reasonPath                         // the target has a character that no plain path has, such as "%"
	reasonUnknownHeader                // a header field is not on the list of harmless ones
	reasonRepeatedHeader               // a header field that counts comes twice
	reasonConnection                   // Connection says something else than keep-alive
	reasonCookie                       // the visitor has a read-your-writes token
	reasonNoPage                       // the path is no page's
	reasonSpelling                     // the path is another spelling of a page's, which is redirected
	reasonAnswer                       // the page is not a 200, is stale, or could not be fetched
	reasonBroken                       // the copy in memcached could not be unpacked
	reasonStopping                     // the edge stops
	reasons
)

var reasonNames = [reasons]string{
	"none", "off", "tls", "http2", "unparsed", "head", "query", "path", "unknown_header", "repeated_header",
	"connection", "cookie", "no_page", "spelling", "answer", "broken", "stopping",
}

func (why reason) String() string { return reasonNames[why] }

// delegatedWhy gives the reason for which a request has come to the handler. c is its connection, nil within TLS.
func delegatedWhy(r *http.Request, c *expressConn) reason {
	switch {
	case c == nil:
		return reasonTLS
	case c.express.off:
		return reasonOff
	case r.ProtoMajor == 2:
		return reasonHTTP2
	}
	return c.why
}

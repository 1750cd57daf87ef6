package fastpath

// Reason says why net/http answers a request and the fast path does not.
type Reason uint8

// The reasons. A Handler returns those from ReasonNoPage on, or ReasonNone.
const (
	ReasonNone           Reason = iota // the fast path answers; never the reason of a delegated request
	ReasonOff                          // Config.Off
	ReasonHTTP2                        // the protocol is HTTP/2
	ReasonUnparsed                     // the connection has carried something that is not parsed here, such as a body
	ReasonHead                         // the method is HEAD
	ReasonQuery                        // the target has a query
	ReasonPath                         // the target has a character that no fast request has, such as "%"
	ReasonUnknownHeader                // a header field is not on the list of harmless ones
	ReasonRepeatedHeader               // a header field that matters comes twice
	ReasonConnection                   // Connection is not keep-alive
	ReasonCookie                       // the client has a read-your-writes token
	ReasonStopping                     // the server drains or stops
	ReasonNoPage                       // the path is no page's
	ReasonSpelling                     // the path is another spelling of a page's, which is redirected
	reasons
)

var reasonNames = [reasons]string{
	"none", "off", "http2", "unparsed", "head", "query", "path", "unknown_header", "repeated_header",
	"connection", "cookie", "stopping", "no_page", "spelling",
}

// Reasons is the number of reasons; the first one is 0.
const Reasons = int(reasons)

// String returns the value of the label "reason" in metrics.
func (r Reason) String() string { return reasonNames[r] }

package edge

import (
	"strings"

	"flickrkillr/schema/wire"
)

// dependsHeader is a header field of requests and answers. A client that sends it gets the versions that the answer was
// made from: "all=1 user.ansel=18". On the home page they take more than a kilobyte, so other answers do not have them.
const dependsHeader = "X-Depends"

// depends returns the versions that a reply was made from. For an error page it hides them ("photo.7=?"): they would
// distinguish a photo that was hidden or deleted from one that never existed. A client whose value proves that it has
// the key of the edges gets all of them, see [wire.FreshKey.Insider].
func (s *Server) depends(reply *wire.Reply, value string) string {
	if reply.Status < 400 || s.tokens.Insider(value) {
		return strings.TrimPrefix(wire.FormatDeps(reply.Depends), " ")
	}
	var b strings.Builder
	for _, d := range reply.Depends {
		if d.Scope == wire.ScopeAll {
			b.WriteString(wire.FormatDeps([]wire.Dep{d}))
		} else {
			b.WriteString(" " + d.Scope + "=?")
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

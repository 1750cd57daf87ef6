package edge

import (
	"strings"

	"flickrkillr/schema/wire"
)

// dependsHeader, in a request, asks for the versions that the answer was made from: "all=1 user.ansel=18". On the home
// page that is more than a kilobyte, so only clients that ask for it get it.
const dependsHeader = "X-Depends"

// depends returns the versions that a reply was made from. A client that gets an error page is not told them,
// "photo.7=?": they would distinguish a photo that was hidden or deleted from one that never existed. A client that has
// the key that the edges share is told everything, see [wire.FreshKey.Insider].
func (s *Server) depends(reply *wire.Reply, ask string) string {
	if reply.Status < 400 || s.tokens.Insider(ask) {
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

package edge

import (
	"strings"

	"flickrkillr/schema/wire"
)

// dependsHeader, in a request, asks for the versions that the answer was made from: "all=1 user.ansel=18". On the front page that is more
// than a kilobyte, so nobody is told who does not ask.
const dependsHeader = "X-Depends"

// depends gives the versions that a reply was made from. Of what is not there a visitor is told no version, "photo.7=?": it would tell a
// photo that was hidden or deleted from one that never was. Whoever proves to have the key that edges share is told all, see
// [wire.FreshKey.Insider].
func (s *Server) depends(reply *wire.Reply, ask string) string {
	if reply.Status < 400 || s.cookies.insider(ask) {
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

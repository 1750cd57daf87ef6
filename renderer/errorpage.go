package renderer

import (
	"net/http"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// errorPage needs no rows, so that it can be had when there are none to be had.
func (p *Pages) errorPage(ref page.Ref) *draft {
	return &draft{
		status: ref.Status(),
		maxAge: wire.PageAge,
		readAt: p.now(),
		view:   templates.Error(templates.ErrorPage{Site: p.site, Status: ref.Status()}),
	}
}

// missing is the page of what is not there. It depends on the version of what was not found, so that it goes when the
// thing comes.
func (p *Pages) missing(rows *store.Snapshot, maxAge time.Duration) *draft {
	d := shown(rows, maxAge, templates.Error(templates.ErrorPage{Site: p.site, Status: http.StatusNotFound}))
	d.status = http.StatusNotFound
	return d
}

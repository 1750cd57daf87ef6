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
func (s *Service) errorPage(ref page.Ref) *draft {
	return &draft{
		status: ref.Status(),
		maxAge: wire.PageAge,
		readAt: s.clock.Now(),
		view:   templates.Error(templates.ErrorPage{Site: s.site, Status: ref.Status()}),
	}
}

// missing is the page of what is not there. It depends on the version of what was not found, so that it goes when the thing comes.
func (s *Service) missing(rows *store.Snapshot, maxAge time.Duration) *draft {
	d := shown(rows, maxAge, templates.Error(templates.ErrorPage{Site: s.site, Status: http.StatusNotFound}))
	d.status = http.StatusNotFound
	return d
}

package renderer

import (
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// about needs no rows.
func (s *Service) about() *draft {
	return &draft{maxAge: wire.PageAge, readAt: s.clock.Now(), view: templates.About(templates.AboutPage{Site: s.site})}
}

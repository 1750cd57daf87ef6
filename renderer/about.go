package renderer

import (
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// about needs no rows.
func (p *Pages) about(ref page.Ref) *draft {
	return &draft{maxAge: wire.PageAge, readAt: p.now(),
		view: templates.About(templates.AboutPage{Site: p.siteFor(ref)})}
}

package renderer

import (
	"io"
	"net/http"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// file is what programs look for at a fixed place. It needs no rows.
func (p *Pages) file(ref page.Ref) (*draft, error) {
	body, contentType, ok, err := templates.File(p.siteFor(ref), ref.Name())
	if err != nil {
		return nil, err
	}
	if !ok {
		return &draft{status: http.StatusNotFound, maxAge: wire.PageAge, readAt: p.now(),
			view: templates.Error(templates.ErrorPage{Site: p.site, Status: http.StatusNotFound})}, nil
	}
	return written(&store.Snapshot{ReadAt: p.now()}, wire.FileAge, contentType, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	}), nil
}

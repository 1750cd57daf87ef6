package renderer

import (
	"io"

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
		return p.missing(&store.Snapshot{ReadAt: p.now()}, wire.PageAge), nil
	}
	return written(&store.Snapshot{ReadAt: p.now()}, wire.FileAge, contentType, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	}), nil
}

package renderer

import (
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// The functions of this file turn rows into what views are told.

func person(o store.Owner) templates.Person {
	return templates.Person{Name: o.Name, Display: o.DisplayName}
}

func (p *Pages) picture(of store.Picture) templates.Image {
	if of.PhotoID == 0 {
		return templates.Image{}
	}
	return templates.Image{ID: p.keys.Key(of.PhotoID, of.Generation), Width: int(of.Width), Height: int(of.Height),
		Blur: pictures.Flat(uint32(of.Color))}
}

func (p *Pages) card(c store.Card) templates.Card {
	return templates.Card{Photo: page.Photo(c.ID), Title: c.Title, Author: person(c.Owner),
		Image: p.picture(c.Picture), Posted: c.PostedAt.UTC()}
}

func (p *Pages) cards(rows []store.Card) []templates.Card {
	all := make([]templates.Card, len(rows))
	for i, c := range rows {
		all[i] = p.card(c)
	}
	return all
}

// neighbours are the pages of the listing at self on either side of this one; the zero Ref where there is none.
func neighbours(self page.Ref, l store.Listing) (newer, older page.Ref) {
	if l.Newer > 0 {
		newer = self.After(l.Newer)
	}
	if l.Older > 0 {
		older = self.Before(l.Older)
	}
	return newer, older
}

// beyond reports whether self is a page of a listing past either of its ends: it was there when somebody linked to it.
func beyond(self page.Ref, photos int) bool { return photos == 0 && self != self.First() }

// depends copies what an answer depends on into the envelope's type.
func depends(rows store.Depends) []wire.Dep {
	all := make([]wire.Dep, len(rows))
	for i, d := range rows {
		all[i] = wire.Dep(d)
	}
	return all
}

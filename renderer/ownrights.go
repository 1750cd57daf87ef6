package renderer

import (
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// rights reads what others may do with photos; nil fields were not given.
func (f form) rights() (edit store.RightsEdit, problem *wire.InputError) {
	if text, ok := f["licence"]; ok {
		licence := page.Licence(text)
		if !page.ValidLicence(licence) {
			return edit, wrong("licence", "is none of those that can be chosen: choose one")
		}
		edit.Licence = &licence
	}
	if text, ok := f["download"]; ok {
		open := text == "everybody"
		if !open && text != "owner" {
			return edit, wrong("download", "is neither everybody nor owner: choose one of them")
		}
		edit.Downloadable = &open
	}
	return edit, nil
}

// showRights fills the fields of a form about rights.
func (f form) showRights(r store.Rights) {
	f["licence"], f["download"] = string(r.Licence), "owner"
	if r.Downloadable {
		f["download"] = "everybody"
	}
}

// What the buttons do to the rights of the photos that were chosen.
const (
	doLicence store.OwnChange = "licence" // sets the one that the form names
	doOpen    store.OwnChange = "open"    // everybody may download the originals
	doClose   store.OwnChange = "close"   // only their owner may
)

// rightsOf is the change of rights that a button makes; none for the other buttons.
func rightsOf(change store.OwnChange, f form) (edit store.RightsEdit, problem *wire.InputError) {
	open := change == doOpen
	switch change {
	case doLicence:
		if edit, problem = (form{"licence": f["licence"]}).rights(); problem != nil {
			return edit, wrong(formField, "Choose a licence first")
		}
	case doOpen, doClose:
		edit.Downloadable = &open
	}
	return edit, nil
}

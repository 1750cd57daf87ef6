package renderer

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// rightsKey is the idempotency key of the part of an action that sets rights. That part is a statement of its own; a
// repetition of the action does whichever part was not done.
func rightsKey(key string) string {
	sum := sha256.Sum256([]byte("rights " + key))
	return hex.EncodeToString(sum[:])
}

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

// newest joins the changes of two parts of an action: of each scope the newer version.
func newest(first, second []store.Change) []store.Change {
	all := slices.Clone(first)
	for _, c := range second {
		i := slices.IndexFunc(all, func(o store.Change) bool { return o.Scope == c.Scope })
		if i < 0 {
			all = append(all, c)
			continue
		}
		all[i].Version, all[i].Gone = max(all[i].Version, c.Version), all[i].Gone || c.Gone
	}
	return all
}

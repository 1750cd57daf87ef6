package edge

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// The forms and lists of one's own photos.

// valuesOf are what a page shows of its address.
func valuesOf(ref page.PrivateRef, query url.Values) url.Values {
	switch {
	case byLink(ref.Private):
		return linkValues(query)
	case ref.AboutPhoto():
		values := url.Values{"id": {strconv.FormatInt(ref.Photo, 10)}}
		if ref.Width != 0 {
			values.Set("width", strconv.Itoa(ref.Width))
		}
		return values
	case ref.AboutAlbum():
		values := shortValues(query, "after", "before")
		values.Set("id", strconv.FormatInt(ref.Album, 10))
		return values
	case ref.Private == page.PrivatePhotos:
		return ownValues(query, wire.FieldPart, "undo", undoTag)
	case ref.Private == page.PrivatePhotoReceipt:
		return shortValues(query, "id")
	case ref.Private == page.PrivateShares:
		return shortValues(query, "before", "photo", "album", "undo")
	case ref.Private == page.PrivateAlbums, ref.Private == page.PrivateBin:
		return shortValues(query, "before")
	}
	return nil
}

// ownValues are those values of an address that a list of one's own photos knows, and further ones.
func ownValues(query url.Values, further ...string) url.Values {
	return shortValues(query, slices.Concat(page.OwnFilters(), page.OwnPlaces(), further)...)
}

// shortValues are those of some names in an address that are not too long.
func shortValues(query url.Values, names ...string) url.Values {
	values := url.Values{}
	for _, name := range names {
		if value := query.Get(name); value != "" && len(value) <= longestList {
			values.Set(name, value)
		}
	}
	return values
}

// ownList are the values of a list of which a form has the query.
func ownList(query string) url.Values {
	values, _ := url.ParseQuery(query) // what cannot be read is left out
	return ownValues(values)
}

// idOf is the number of the photo or album that a form is about; 0: it is about none.
func idOf(ref page.PrivateRef) int64 {
	if ref.AboutAlbum() {
		return ref.Album
	}
	return ref.Photo
}

// longestList bounds a list of photos in an address, in bytes: page.MaxPhotos ids of nine digits.
const longestList = 10 * page.MaxPhotos

// afterPhotos is the value of the field "to" with which a form of the bin leads to the list of photos. The query of the
// list may follow it.
const afterPhotos = "photos"

// takeAfter takes the field out of a form that says where it leads, and returns it.
func takeAfter(kind page.Private, form url.Values) string {
	if kind != page.PrivateBin {
		return ""
	}
	defer form.Del("to")
	return form.Get("to")
}

// afterOwn is where a form about one's own photos leads to.
func afterOwn(kind page.Private, form url.Values, after string, changed []wire.Change) string {
	query, to := url.Values{}, kind.Path()
	switch kind {
	case page.PrivatePhoto:
		id, _ := strconv.ParseInt(form.Get("id"), 10, 64) // of the address
		switch form.Get("visibility") {
		case "private":
			query.Set("notice", wire.NoticeSaved)
		case "unlisted":
			query.Set("notice", wire.NoticeUnlisted)
		default:
			return page.Photo(id).Path()
		}
		to = page.OwnPhoto(id).Path()
	case page.PrivatePhotos:
		query = ownList(form.Get("list"))
		do, undo := form.Get("do"), photosOf(changed)
		query.Set("notice", wire.NoticeChanged)
		if notice, ok := undone[do]; ok && undo != "" {
			query.Set("notice", notice)
			query.Set("undo", undo)
			if do == "tag" || do == "untag" {
				query.Set(undoTag, form.Get("tag"))
			}
		}
		switch do {
		case "album":
			query.Set("notice", wire.NoticeAdded)
		case "unalbum":
			query.Set("notice", wire.NoticeTaken)
		}
	case page.PrivateShares:
		for _, name := range [...]string{"photo", "album"} {
			if value := form.Get(name); value != "" {
				query.Set(name, value)
			}
		}
		switch {
		case form.Has("end"):
			query.Set("notice", wire.NoticeUnshared)
			query.Set("undo", form.Get("end"))
		case form.Has("back"):
			query.Set("notice", wire.NoticeReshared)
		case form.Has("let"):
			query.Set("notice", wire.NoticeLetAdd)
		case form.Has("stop"):
			query.Set("notice", wire.NoticeStopAdd)
		default:
			query.Set("notice", wire.NoticeShared)
		}
	default:
		query.Set("notice", wire.NoticeRemoved)
		if form.Get("do") == "restore" {
			query.Set("notice", wire.NoticeRestored)
		}
		if to, list, _ := strings.Cut(after, "?"); to == afterPhotos {
			back := ownList(list)
			back.Set("notice", query.Get("notice"))
			return page.PrivatePhotos.Path() + "?" + back.Encode()
		}
	}
	return to + "?" + query.Encode()
}

// photoReceiptPath is where the receipt of photos with a number is.
func photoReceiptPath(number string) string {
	return page.PrivatePhotoReceipt.Path() + "?" + url.Values{"id": {number}}.Encode()
}

// undoTag is the name of the value of an address that has the tag which photos got or lost.
const undoTag = "undo-tag"

// undone are the notices of what is done to several photos and can be taken back.
var undone = map[string]string{"bin": wire.NoticeBinned, "private": wire.NoticeHidden, "public": wire.NoticeShown,
	"tag": wire.NoticeTagged, "untag": wire.NoticeUntagged}

// photosOf lists the photos that a change was about, which need not be all that were chosen.
func photosOf(changed []wire.Change) string {
	var ids []string
	for _, d := range changed {
		if id, ok := strings.CutPrefix(d.Scope, "photo."); ok {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, ",")
}

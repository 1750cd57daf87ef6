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
	case ref.Private == page.PrivatePhotos:
		return ownValues(query, wire.FieldPart, "undo")
	case ref.Private == page.PrivateBin:
		return ownValues(query)
	}
	return nil
}

// ownValues are those values of an address that a list of one's own photos knows, and further ones.
func ownValues(query url.Values, further ...string) url.Values {
	values := url.Values{}
	for _, name := range slices.Concat(wire.OwnFilters(), wire.OwnPlaces(), further) {
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

// longestList bounds a list of photos in an address, in bytes: MaxPhotos ids of nine digits.
const longestList = 10 * wire.MaxPhotos

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
		if form.Get("visibility") != "private" {
			return page.Photo(id).Path()
		}
		query.Set("notice", wire.NoticeSaved)
		to = page.OwnPhoto(id).Path()
	case page.PrivatePhotos:
		query = ownList(form.Get("list"))
		notice, ok := undone[form.Get("do")]
		if undo := photosOf(changed); ok && undo != "" {
			query.Set("notice", notice)
			query.Set("undo", undo)
		} else {
			query.Set("notice", wire.NoticeChanged)
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

// undone are the notices of what is done to several photos and can be taken back.
var undone = map[string]string{"bin": wire.NoticeBinned, "private": wire.NoticeHidden, "public": wire.NoticeShown}

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

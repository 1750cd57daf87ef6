package edge

import (
	"net/url"
	"strconv"

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
	case ref.Private == page.PrivatePhotos, ref.Private == page.PrivateShares:
		return shortValues(query, "show", "before", "undo", "photo", "album")
	case ref.Private == page.PrivateAlbums:
		return shortValues(query, "before")
	}
	return nil
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

// idOf is the number of the photo or album that a form is about; 0: it is about none.
func idOf(ref page.PrivateRef) int64 {
	if ref.AboutAlbum() {
		return ref.Album
	}
	return ref.Photo
}

// longestList bounds a list of photos in an address, in bytes: MaxPhotos ids of nine digits.
const longestList = 10 * wire.MaxPhotos

// afterPhotos is the value of the field "to" with which a form of the bin leads to the list of photos.
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
func afterOwn(kind page.Private, form url.Values, after string) string {
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
		for _, name := range [...]string{"show", "before"} {
			if value := form.Get(name); value != "" {
				query.Set(name, value)
			}
		}
		query.Set("notice", wire.NoticeChanged)
		switch form.Get("do") {
		case "bin":
			query.Set("notice", wire.NoticeBinned)
			query.Set("undo", form.Get(fieldPhotos))
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
		query.Set("notice", wire.NoticeShared)
		if form.Has("end") {
			query.Set("notice", wire.NoticeUnshared)
		}
	default:
		query.Set("notice", wire.NoticeRemoved)
		if form.Get("do") == "restore" {
			query.Set("notice", wire.NoticeRestored)
		}
		if after == afterPhotos {
			to = page.PrivatePhotos.Path()
		}
	}
	return to + "?" + query.Encode()
}

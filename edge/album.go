package edge

import (
	"net/url"
	"strconv"
	"strings"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// afterAlbum is where a form about one's own albums leads to: to the album, a new one, too, or to the list of them.
func afterAlbum(kind page.Private, form url.Values, changed []wire.Change) string {
	query, to := url.Values{}, page.PrivateAlbums.Path()
	do := form.Get("do")
	if kind == page.PrivateAlbum && do != "delete" {
		id, _ := strconv.ParseInt(form.Get("id"), 10, 64) // of the address
		to = page.OwnAlbum(id).Path()
		for _, name := range [...]string{"after", "before"} {
			if value := form.Get(name); value != "" {
				query.Set(name, value)
			}
		}
	}
	switch do {
	case "", "make":
		for _, d := range changed {
			number, ok := strings.CutPrefix(d.Scope, "album.")
			if id, err := strconv.ParseInt(number, 10, 64); ok && err == nil {
				return page.OwnAlbum(id).Path()
			}
		}
	case "save":
		query.Set("notice", wire.NoticeAlbumSaved)
	case "show":
		query.Set("notice", wire.NoticeAlbumShown)
	case "delete":
		query.Set("notice", wire.NoticeAlbumDeleted)
	case "add":
		query.Set("notice", wire.NoticeAdded)
	case "take":
		query.Set("notice", wire.NoticeTaken)
	case "cover", "uncover":
		query.Set("notice", wire.NoticeCover)
	default:
		query.Set("notice", wire.NoticeMoved)
	}
	if len(query) == 0 {
		return to
	}
	return to + "?" + query.Encode()
}

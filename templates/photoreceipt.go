package templates

import (
	"strconv"
	"time"

	"flickrkillr/schema/page"
)

// PhotoReceipt says what has become of photos that their owner has deleted for good. It is also what programs get, as
// JSON. A zero time means "not yet".
type PhotoReceipt struct {
	ID            int64       `json:"id"`
	Complete      bool        `json:"complete"` // nothing below is left to be done
	DeletedAt     time.Time   `json:"deleted_at"`
	HiddenAt      time.Time   `json:"hidden_at,omitzero"` // when the last one was hidden from pages; zero: none was shown
	RowsGoneAt    time.Time   `json:"rows_gone_at,omitzero"`
	FilesGoneAt   time.Time   `json:"files_gone_at,omitzero"` // when the disk was free
	ReadableUntil time.Time   `json:"readable_until"`
	Scope         string      `json:"scope"`
	Version       int64       `json:"version"`     // of the scope: no older copy of a page is shown; 0: none was shown
	Photos        int         `json:"photos"`      // deleted so far
	Left          int         `json:"photos_left"` // still to be deleted, 10,000 at most
	Tags          int         `json:"tags"`        // counted once for each photo that had one
	Shares        int         `json:"share_links"`
	Files         int         `json:"files"` // different originals
	FilesRemoved  int         `json:"files_removed"`
	FilesKept     int         `json:"files_kept"`  // other photos show them
	FreedFiles    int         `json:"freed_files"` // on the disk: originals, and all that was made of them
	FreedBytes    int64       `json:"freed_bytes"` // of these
	IDs           []int64     `json:"photo_ids"`   // the first 1,000
	Edges         []EdgeKnows `json:"edges"`
}

// FilesLeft is how many originals are still to be looked at.
func (r PhotoReceipt) FilesLeft() int { return max(0, r.Files-r.FilesRemoved-r.FilesKept) }

// title says how many photos are gone.
func (r PhotoReceipt) title() string {
	switch {
	case r.RowsGoneAt.IsZero():
		return "Your bin is being emptied"
	case r.Photos == 1:
		return "1 photo is deleted for good"
	}
	return count(r.Photos) + " photos are deleted for good"
}

// ReceiptLine is a receipt of photos in a list.
type ReceiptLine struct {
	ID          int64
	At          time.Time
	Photos      int
	FilesGoneAt time.Time // zero: not yet
}

// path is where the receipt is.
func (l ReceiptLine) path() string {
	return page.PrivatePhotoReceipt.Path() + "?id=" + strconv.FormatInt(l.ID, 10)
}

package wire

// Actions with one's own photos, which are actions of people, see [ActionSignUp]. Photos that are another's, and those
// that do not exist, are an [ErrNotFound], or left out where several are named.
const (
	// id; title, description; tags, with commas between them; taken: a day such as 2026-11-30, or "";
	// visibility: public or private. What is not given stays as it is.
	ActionOwnEdit = "own.photo"
	// photos: at most MaxPhotos ids with commas between them; do: tag or untag with a tag, public, private, bin; list:
	// the query of the list that they are in, for its page
	ActionOwnPhotos = "own.photos"
	// photos, as above; do: restore, or remove, which deletes them for good; empty, which removes the MaxPhotos that
	// are there longest, needs no photos
	ActionOwnBin = "own.bin"
)

// MaxPhotos is how many photos one action changes at most.
const MaxPhotos = 200

// BinDays is how many days a photo stays in the bin.
const BinDays = 30

// Notices about one's own photos.
const (
	NoticeSaved    = "saved"    // the photo is changed
	NoticeChanged  = "changed"  // several are
	NoticeHidden   = "hidden"   // only their owner sees them
	NoticeShown    = "shown"    // everybody sees them
	NoticeBinned   = "binned"   // photos are in the bin
	NoticeRestored = "restored" // they are back
	NoticeRemoved  = "removed"  // they are deleted for good
)

// OwnFilters lists the fields of an address that say which of one's own photos a page lists: q: words; camera, lens: a
// part of the name; tagged: a tag; album: an id; from, to: days; untagged, loose (in no album): 1; visibility: public or
// private.
func OwnFilters() []string {
	return []string{"q", "camera", "lens", "tagged", "album", "from", "to", "untagged", "loose", "visibility"}
}

// OwnPlaces lists the fields that say where such a page begins, of which it has one: taken: a year or a month, such as
// 2024-07; before, after: a position between two photos, as the links of another page have it.
func OwnPlaces() []string { return []string{"taken", "before", "after"} }

// FieldPart, with the value PartList, asks for the photos of a list and its links alone, which a script adds to a page.
const (
	FieldPart = "part"
	PartList  = "list"
)

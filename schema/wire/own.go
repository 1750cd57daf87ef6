package wire

// Actions with one's own photos, which are actions of people, see [ActionSignUp]. Photos that are another's, and those
// that do not exist, are an [ErrNotFound], or left out where several are named.
const (
	// id; title, description; tags, with commas between them; taken: a day such as 2026-11-30, or "";
	// visibility: public, unlisted or private; licence: one of page.Licences; download: everybody or owner, who may
	// have the original. What is not given stays as it is.
	ActionOwnEdit = "own.photo"
	// photos: at most MaxPhotos ids with commas between them; do: tag or untag with a tag, public, unlisted, private,
	// bin, licence with a licence, open or close, which lets everybody or nobody else download the originals
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
	NoticeUnlisted = "unlisted" // it is, and unlisted now
	NoticeChanged  = "changed"  // several are
	NoticeBinned   = "binned"   // photos are in the bin
	NoticeRestored = "restored" // they are back
	NoticeRemoved  = "removed"  // they are deleted for good
)

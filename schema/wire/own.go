package wire

// Actions with one's own photos, which are actions of people, see [ActionSignUp]. Photos that are another's, and those
// that do not exist, are an [ErrNotFound], or left out where several are named.
const (
	// id; title, description; tags, with commas between them; taken: a day such as 2026-11-30, or "";
	// visibility: public, unlisted or private; licence: one of page.Licences; download: everybody or owner, who may
	// have the original. What is not given stays as it is.
	ActionOwnEdit = "own.photo"
	// photos: at most page.MaxPhotos ids with commas between them; do: tag or untag with a tag, public, unshow, which
	// takes public back, unlisted, private, bin, licence with a licence, open or close, which lets everybody or nobody
	// else download the originals; album or unalbum with an album, see ActionOwnAlbums; list: the query of the list
	// that they are in, for its page. The changes name the photos that a tag was put on or taken off
	ActionOwnPhotos = "own.photos"
	// photos, as above; do: restore, or remove, which deletes them for good; empty, which removes the page.MaxPhotos
	// that are there longest, needs no photos
	ActionOwnBin = "own.bin"
)

// Actions with one's own albums. An album is called by its title, or, in another one, by "Other / Title", in whatever
// case. Albums that are another's, and those that do not exist, are an [ErrNotFound].
const (
	// do: make, or nothing, with a title and perhaps a description, and parent: the album that it goes into; add or
	// take with an album, which add makes if there is none, and photos, as above, which add puts at its end in their
	// order. The changes after make have the new album's scope.
	ActionOwnAlbums = "own.albums"
	// id; do: save with title, description, parent ("" for none), of which what is not given stays as it is; show with
	// visibility: public, unlisted or private; delete, which leaves the photos; take, first, last, earlier or later
	// with photos; before or after with photos, and at: the photo before or after which they go; place with photos, and
	// at: the number of the place; cover with one photo; uncover, which leaves the cover to the first of the album
	ActionOwnAlbum = "own.album"
)

// BinDays is how many days a photo stays in the bin.
const BinDays = 30

// Notices about one's own photos.
const (
	NoticeSaved    = "saved"    // the photo is changed
	NoticeUnlisted = "unlisted" // it is, and unlisted now
	NoticeChanged  = "changed"  // several are
	NoticeHidden   = "hidden"   // only their owner sees them
	NoticeShown    = "shown"    // everybody sees them
	NoticeTagged   = "tagged"   // they have a tag
	NoticeUntagged = "untagged" // they have it no more
	NoticeBinned   = "binned"   // photos are in the bin
	NoticeRestored = "restored" // they are back
	NoticeRemoved  = "removed"  // they are deleted for good

	NoticeAdded        = "added"         // they are in an album
	NoticeTaken        = "taken"         // they are in an album no more
	NoticeMoved        = "moved"         // they have other places in it
	NoticeCover        = "cover"         // the album has another cover
	NoticeAlbumShown   = "album-shown"   // who sees the album is changed
	NoticeAlbumSaved   = "album"         // the album is changed
	NoticeAlbumDeleted = "album-deleted" // it is deleted
)

// FieldPart, with the value PartList, asks for the photos of a list and its links alone, which a script adds to a page.
const (
	FieldPart = "part"
	PartList  = "list"
)

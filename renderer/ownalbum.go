package renderer

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// changeAlbums makes one of a person's own albums, or puts photos into it or takes them out.
func changeAlbums(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	switch a.form["do"] {
	case "", "make":
		return makeAlbum(ctx, d, a)
	case "add":
		return addToAlbum(ctx, d, a)
	case "take":
		return takeFromCalled(ctx, d, a)
	}
	return nil, wrong(formField, "Choose what to do: make, add or take")
}

func makeAlbum(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	all := problems{}
	title, problem := a.form.albumTitle("title")
	all.note(problem)
	description, problem := a.form.prose("description", maxDescription)
	all.note(problem)
	parent, problem := a.form.albumLabel("parent")
	all.note(problem)
	if title == nil && all["title"] == "" {
		all["title"] = "is missing: say what the album is called"
	}
	private, unlisted, problem := a.form.visibility()
	if all.note(problem); unlisted != nil && *unlisted {
		all[formField] = "A new album cannot be unlisted: make it private, and unlisted then"
	}
	if err := all.asError(); err != nil {
		return nil, err
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		if private != nil && *private {
			return d.store.MakePrivateAlbum(ctx, a.key, a.user, *title, given(description), given(parent))
		}
		return d.store.MakeOwnAlbum(ctx, a.key, a.user, *title, given(description), given(parent))
	})
	return changedAlbum(changes, err)
}

// given is the text of a field; "" for one that was not given.
func given(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// changedAlbum is the outcome of a change of an album, or says what is wrong with the form.
func changedAlbum(changes []store.Change, err error) (*outcome, error) {
	switch {
	case errors.Is(err, store.ErrTaken):
		err = wrong("title", "is that of another album there: choose another")
	case errors.Is(err, store.ErrNoParent):
		err = wrong("parent", "is none of your albums: choose one, or leave it empty")
	case errors.Is(err, store.ErrTooDeep):
		err = wrong("parent", "cannot be: an album that is in another one, or has albums, goes into no other")
	case errors.Is(err, store.ErrTooMany):
		err = wrong(formField, "You have %d albums already. Delete one first", store.MaxAlbums)
	case errors.Is(err, store.ErrFull):
		err = wrong(formField, "An album has %d photos at most. Choose fewer, or another album", store.MaxAlbumPhotos)
	case errors.Is(err, store.ErrHidden):
		err = wrong(formField, "Only a photo that everybody may see can be the cover")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// addToAlbum puts the photos that were chosen into the album that was named. Those of a list that shows the newest
// first go in with the oldest first.
func addToAlbum(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	ids, label, err := a.form.chosenAlbum(a.form["do"] == "add")
	if err != nil {
		return nil, err
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.AddToOwnAlbum(ctx, a.key, a.user, label, ids)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, wrong(formField, "None of these photos is here any more")
	case errors.Is(err, store.ErrLongTitle):
		return nil, wrong("album", "is no album of yours, and too long for a new one: shorten it to %d characters",
			maxTitle)
	}
	return changedAlbum(changes, err)
}

// takeFromCalled takes the photos that were chosen out of the album that was named.
func takeFromCalled(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	ids, label, err := a.form.chosenAlbum(false)
	if err != nil {
		return nil, err
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.TakeFromOwnAlbum(ctx, a.key, a.user, 0, label, ids)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, wrong("album", "is none of your albums: choose one of them")
	}
	return changedAlbum(changes, err)
}

// chosenAlbum reads the photos that were chosen, in the order that they were given or by their ids, and the label of an
// album.
func (f form) chosenAlbum(asGiven bool) (ids []int64, label string, err error) {
	all := problems{}
	ids, problem := f.chosenPhotos(asGiven)
	all.note(problem)
	name, problem := f.albumLabel("album")
	all.note(problem)
	if given(name) == "" && all["album"] == "" {
		all["album"] = "is missing: choose one of yours, or say what a new one is called"
	}
	return ids, given(name), all.asError()
}

// chosenPhotos reads at least one photo.
func (f form) chosenPhotos(asGiven bool) ([]int64, *wire.InputError) {
	read := f.photos
	if asGiven {
		read = f.photosAsGiven
	}
	ids, problem := read("photos")
	if problem == nil && len(ids) == 0 {
		problem = wrong(formField, "No photo is chosen. Choose at least one")
	}
	return ids, problem
}

// changeAlbum changes one of a person's own albums.
func changeAlbum(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id, err := a.form.id()
	if err != nil {
		return nil, err
	}
	change, err := a.form.albumChange(d, a, id)
	if err != nil {
		return nil, err
	}
	changes, err := fromRows(ctx, d, change)
	if errors.Is(err, store.ErrNotFound) && a.form["photos"] != "" {
		return nil, wrong(formField, "The album or these photos are not here any more. Reload the page")
	}
	return changedAlbum(changes, err)
}

// albumChange reads what is to be done to an album.
func (f form) albumChange(d *actionRun, a attempt, id int64) (
	func(context.Context) ([]store.Change, error), error,
) {
	rows := d.store
	switch do := f["do"]; do {
	case "save":
		edit, err := f.albumEdit()
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.EditOwnAlbum(ctx, a.key, a.user, id, edit)
		}, err
	case "show":
		private, unlisted, problem := f.visibility()
		if problem != nil || private == nil {
			return nil, cmp.Or(problem, wrong("visibility", "is missing: choose one"))
		}
		unlist, link := unlisted != nil && *unlisted, d.newLink()
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.ShowOwnAlbum(ctx, a.key, a.user, id, *private, unlist, link)
		}, nil
	case "delete":
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.DeleteOwnAlbum(ctx, a.key, a.user, id)
		}, nil
	case "cover":
		ids, problem := f.photos("photos")
		switch {
		case problem != nil:
			return nil, problem
		case len(ids) == 0:
			return nil, wrong(formField, "Choose one photo first")
		case len(ids) > 1:
			return nil, wrong(formField, "%d photos are chosen. Choose one for the cover", len(ids))
		}
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.CoverOwnAlbum(ctx, a.key, a.user, id, ids[0])
		}, nil
	case "uncover":
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.CoverOwnAlbum(ctx, a.key, a.user, id, 0)
		}, nil
	case "take":
		ids, problem := f.chosenPhotos(false)
		if problem != nil {
			return nil, problem
		}
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.TakeFromOwnAlbum(ctx, a.key, a.user, id, "", ids)
		}, nil
	default:
		ids, problem := f.chosenPhotos(false)
		if problem != nil {
			return nil, problem
		}
		move, n, problem := f.albumMove()
		if problem != nil {
			return nil, problem
		}
		return func(ctx context.Context) ([]store.Change, error) {
			return rows.MoveInOwnAlbum(ctx, a.key, a.user, id, ids, move, n)
		}, nil
	}
}

// albumFields are the fields of the form of an album that say what they have shown, see [form.changed].
func albumFields() []string { return []string{"title", "description", "parent"} }

func (f form) albumEdit() (edit store.AlbumEdit, err error) {
	f = f.changed(albumFields())
	all := problems{}
	var problem *wire.InputError
	edit.Title, problem = f.albumTitle("title")
	all.note(problem)
	edit.Description, problem = f.prose("description", maxDescription)
	all.note(problem)
	edit.Parent, problem = f.albumLabel("parent")
	all.note(problem)
	return edit, all.asError()
}

// albumMove reads where photos of an album are to go, and the photo or place that this needs.
func (f form) albumMove() (move store.AlbumMove, n int64, problem *wire.InputError) {
	switch move = store.AlbumMove(f["do"]); move {
	case store.MoveFirst, store.MoveLast, store.MoveEarlier, store.MoveLater:
		return move, 0, nil
	case store.MoveBefore, store.MoveAfter, store.MovePlace:
		at, err := strconv.ParseInt(strings.TrimSpace(f["at"]), 10, 32)
		if move != store.MovePlace {
			at, err = strconv.ParseInt(f["at"], 10, 64)
		}
		if err != nil || at < 1 {
			return move, 0, wrong("at", "is not the number of a place: give digits, such as 7")
		}
		return move, at, nil
	}
	return move, 0, wrong(formField, "Choose what to do: press one of the buttons")
}

// albumSeparator is between the titles in the label of an album that is in another one.
const albumSeparator = " / "

// maxAlbumLabel bounds the label of an album, in characters.
const maxAlbumLabel = 2*maxTitle + len(albumSeparator)

// albumTitle reads the title of an album; nil when the field was not given.
func (f form) albumTitle(name string) (*string, *wire.InputError) {
	title, problem := f.albumText(name, maxTitle)
	if problem == nil && title != nil && !wire.HasVisible(*title) {
		problem = wrong(name, "is missing: say what the album is called")
	}
	return title, problem
}

// albumLabel reads what a person calls an album, or nothing; nil when the field was not given.
func (f form) albumLabel(name string) (*string, *wire.InputError) {
	label, problem := f.albumText(name, maxAlbumLabel)
	if problem == nil && label != nil && *label != "" && !wire.HasVisible(*label) {
		problem = wrong(name, "has invisible characters alone: say what the album is called")
	}
	return label, problem
}

func (f form) albumText(name string, limit int) (*string, *wire.InputError) {
	text, problem := f.line(name, limit)
	if problem != nil || text == nil {
		return nil, problem
	}
	if strings.ContainsFunc(*text, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
		return nil, wrong(name, "has marks that change the direction of text: leave them out")
	}
	composed := norm.NFC.String(*text)
	return &composed, nil
}

package renderer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// maxTags bounds the tags of a photo, as its page shows them.
const maxTags = 100

// wasPrefix begins the names of hidden fields that say what a form has shown. A field that is as it was shown changes
// nothing: a form that was opened earlier does not show to everybody what was made private since.
const wasPrefix = "was-"

// ownFields are the fields of the form of a photo of one's own that say what they have shown.
func ownFields() []string {
	return []string{"title", "description", "tags", "taken", "visibility", "licence", "download"}
}

// wasFields are the names of the hidden fields that say what some fields have shown.
func wasFields(fields []string) []string {
	was := make([]string, len(fields))
	for i, name := range fields {
		was[i] = wasPrefix + name
	}
	return was
}

// changed is a form without those of some fields that are as they were shown. Line breaks are as a browser makes them.
func (f form) changed(fields []string) form {
	same := strings.NewReplacer("\r\n", "\n")
	rest := maps.Clone(f)
	for _, name := range fields {
		if was, ok := f[wasPrefix+name]; ok && same.Replace(was) == same.Replace(f[name]) {
			delete(rest, name)
		}
	}
	return rest
}

// editOwn changes a photo of one's own.
func editOwn(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id, err := a.form.id()
	if err != nil {
		return nil, err
	}
	typed := a.form.changed(ownFields())
	var edit store.OwnEdit
	all := problems{}
	var problem *wire.InputError
	edit.Title, problem = typed.line("title", maxTitle)
	all.note(problem)
	edit.Description, problem = typed.prose("description", maxDescription)
	all.note(problem)
	edit.Tags, problem = typed.tags("tags")
	all.note(problem)
	edit.Taken, problem = typed.day("taken", d.clock.Now())
	all.note(problem)
	edit.Private, edit.Unlisted, problem = typed.visibility()
	all.note(problem)
	edit.Rights, problem = typed.rights()
	all.note(problem)
	if err := all.asError(); err != nil {
		return nil, err
	}
	edit.Link = d.newLink()
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.EditOwnPhoto(ctx, a.key, a.user, id, edit)
	})
	if err != nil {
		return nil, err
	}
	seen, err := fromRows(ctx, d, func(ctx context.Context) (string, error) {
		return d.store.OwnVisibility(ctx, a.user, id)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // it may have been deleted since
		return nil, err
	}
	return &outcome{changes: changes, seen: seen}, nil
}

// doUnlisted makes photos unlisted: private, and each with a link.
const doUnlisted store.OwnChange = "unlisted"

// changeOwn does what a button of the list of photos does to those that were chosen.
func changeOwn(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	switch a.form["do"] {
	case "album":
		return addToAlbum(ctx, d, a)
	case "unalbum":
		return takeFromCalled(ctx, d, a)
	}
	change, ids, err := a.form.chosen(store.OwnTag, store.OwnUntag, store.OwnPublic, store.OwnUnshow, doUnlisted,
		store.OwnPrivate, store.OwnBin, doLicence, doOpen, doClose)
	if err != nil {
		return nil, err
	}
	if change == store.OwnBin {
		return toSeveral(ctx, d, func(ctx context.Context) ([]store.Change, error) {
			return d.store.ChangeBin(ctx, a.key, a.user, ids, change)
		})
	}
	tag := ""
	if change == store.OwnTag || change == store.OwnUntag {
		tags, problem := a.form.tags("tag")
		switch {
		case problem != nil:
			return nil, problem
		case tags == nil || len(*tags) != 1:
			return nil, wrong("tag", "is not one tag: give one, without a comma")
		}
		tag = (*tags)[0]
	}
	rights, problem := rightsOf(change, a.form)
	if problem != nil {
		return nil, problem
	}
	links := make([]store.ShareSecret, len(ids))
	for i := range links {
		links[i] = d.newLink()
	}
	return toSeveral(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		if rights != (store.RightsEdit{}) {
			return d.store.ChangeOwnRights(ctx, a.key, a.user, ids, rights)
		}
		switch change {
		case store.OwnUnshow:
			return d.store.UnshowOwnPhotos(ctx, a.key, a.user, ids)
		case doUnlisted:
			return d.store.UnlistOwnPhotos(ctx, a.key, a.user, ids, links)
		}
		return d.store.ChangeOwnPhotos(ctx, a.key, a.user, ids, change, tag)
	})
}

// changeBin does what a button of the bin does.
func changeBin(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	change, ids, err := a.form.chosen(store.OwnRestore, store.OwnRemove, store.OwnEmpty)
	if err != nil {
		return nil, err
	}
	if change != store.OwnRestore {
		return removePhotos(ctx, d, a, change, ids)
	}
	return toSeveral(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.ChangeBin(ctx, a.key, a.user, ids, change)
	})
}

// chosen reads what is to be done, which is one of some changes, and to which photos. Emptying the bin needs none.
func (f form) chosen(allowed ...store.OwnChange) (store.OwnChange, []int64, error) {
	change := store.OwnChange(f["do"])
	if !slices.Contains(allowed, change) {
		return "", nil, wrong(formField, "Choose what to do: press one of the buttons")
	}
	ids, problem := f.photos("photos")
	if problem == nil && len(ids) == 0 && change != store.OwnEmpty {
		problem = wrong(formField, "No photo is chosen. Choose at least one")
	}
	if problem != nil {
		return "", nil, problem
	}
	return change, ids, nil
}

// toSeveral is the outcome of a change of several photos.
func toSeveral(
	ctx context.Context, d *actionRun, change func(context.Context) ([]store.Change, error),
) (*outcome, error) {
	changes, err := fromRows(ctx, d, change)
	if errors.Is(err, store.ErrNotFound) {
		return nil, wrong(formField, "None of these photos is here any more")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// photos reads ids of photos with commas between them. It returns each once, in order.
func (f form) photos(name string) ([]int64, *wire.InputError) {
	ids, problem := f.photosAsGiven(name)
	slices.Sort(ids)
	return slices.Compact(ids), problem
}

// photosAsGiven is photos in the order in which they were given.
func (f form) photosAsGiven(name string) ([]int64, *wire.InputError) {
	if f[name] == "" {
		return nil, nil
	}
	parts := strings.Split(f[name], ",")
	if len(parts) > page.MaxPhotos {
		return nil, wrong(formField, "%d photos are chosen. Choose at most %d", len(parts), page.MaxPhotos)
	}
	ids := make([]int64, len(parts))
	for i, part := range parts {
		id, err := strconv.ParseUint(part, 10, 63)
		if err != nil || id == 0 {
			return nil, wrong(formField, "The numbers of the photos cannot be read. Reload the page")
		}
		ids[i] = int64(id)
	}
	return ids, nil
}

// tags reads tags with commas between them, each in its one form (see page.CleanTag) and once; nil when the field was
// not given.
func (f form) tags(name string) (*[]string, *wire.InputError) {
	text, ok := f[name]
	if !ok {
		return nil, nil
	}
	tags := []string{}
	for typed := range strings.SplitSeq(text, ",") {
		tag := norm.NFC.String(page.CleanTag(typed))
		switch n := utf8.RuneCountInString(tag); {
		case tag == "" || slices.Contains(tags, tag):
			continue
		case n > page.MaxTag:
			return nil, wrong(name, "have one of %d characters: shorten it to %d", n, page.MaxTag)
		case len(tag) > page.MaxText:
			return nil, wrong(name, "have one of %d bytes: shorten it to %d", len(tag), page.MaxText)
		case strings.ContainsFunc(tag, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
		}):
			return nil, wrong(name, "have control characters, or marks that change the direction: leave them out")
		}
		tags = append(tags, tag)
	}
	if len(tags) > maxTags {
		return nil, wrong(name, "are %d: leave %d", len(tags), maxTags)
	}
	return &tags, nil
}

// day reads a day as browsers send it, or none; nil when the field was not given. It may be today anywhere on earth.
func (f form) day(name string, now time.Time) (*store.Day, *wire.InputError) {
	text, ok := f[name]
	if !ok {
		return nil, nil
	}
	day := store.Day(strings.TrimSpace(text))
	if day == "" {
		return &day, nil
	}
	at, err := time.Parse(time.DateOnly, string(day))
	switch {
	case err != nil:
		return nil, wrong(name, "is no day: give year, month and day, such as 2026-02-28")
	case at.Year() < firstPhoto:
		return nil, wrong(name, "is before there were photos: give a day from %d on", firstPhoto)
	case at.After(now.Add(14 * time.Hour)):
		return nil, wrong(name, "is yet to come: give a day until today")
	}
	return &day, nil
}

// firstPhoto is the year of the oldest photograph.
const firstPhoto = 1826

// visibility reads who may see a photo; nil when the field was not given. Of a public photo unlisted says nothing.
func (f form) visibility() (private, unlisted *bool, problem *wire.InputError) {
	is, byLink := f["visibility"] != "public", f["visibility"] == "unlisted"
	switch text, ok := f["visibility"]; {
	case !ok:
		return nil, nil, nil
	case !is:
		return &is, nil, nil
	case !byLink && text != "private":
		return nil, nil, wrong("visibility", "is neither public, unlisted nor private: choose one of them")
	}
	return &is, &byLink, nil
}

package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// OwnSize is how many of a user's own photos are on a page: with what they can be searched by they have to be 30 KB.
const OwnSize = 26

// OwnSearch says which of a user's photos are listed: those for which all of it holds. The zero OwnSearch is all that
// are not in the bin.
type OwnSearch struct {
	Words       []string // each is a part of the title, the description or a tag, in any case
	Camera      string   // is a part of its name, in any case; likewise Lens
	Lens        string
	Tag         string    // in the form of page.CleanTag
	Album       int64     // the photo is in it
	From, Until time.Time // taken, or posted where that is unknown, at From or later and before Until; zero: any time
	Untagged    bool
	Loose       bool  // in no album
	Private     *bool // nil: either
	Guests      bool  // guests have added it
	Link        int64 // by the link with this id; 0: by any, or none
}

// reads is how many photos a statement looks at, most of which may not be what is searched for. 20,000 take 40 ms, with
// words 5,000 take 100 ms (on two busy processors). A page that ends there leads to a page that goes on.
func (o OwnSearch) reads() int64 {
	switch {
	case len(o.Words) > 0:
		return 5_000
	case o.Camera != "" || o.Lens != "" || o.Tag != "" || o.Album != 0 || o.Untagged || o.Loose || o.Private != nil ||
		o.Guests || o.Link != 0:
		return 20_000
	}
	return OwnSize + 1
}

// OwnPosition is a place between photos in the list of a user's own: that of a photo which is, or was, there.
type OwnPosition struct {
	At time.Time // as the photo's Dated
	ID int64
}

// IsZero reports whether it is no position.
func (p OwnPosition) IsZero() bool { return p == OwnPosition{} }

// before compares the order of time.
func (p OwnPosition) before(q OwnPosition) bool {
	if c := p.At.Compare(q.At); c != 0 {
		return c < 0
	}
	return p.ID < q.ID
}

// OwnListing is one page of a user's own photos, the one taken last first.
type OwnListing struct {
	Photos       []OwnPhoto  // at most OwnSize
	Older, Newer OwnPosition // with which [Store.OwnPhotos] goes on; zero: there are none
}

// The times between which all photos are. PostgreSQL has no others.
var (
	earliest = OwnPosition{At: time.Date(-4000, time.January, 1, 0, 0, 0, 0, time.UTC)}
	latest   = OwnPosition{At: time.Date(290_000, time.January, 1, 0, 0, 0, 0, time.UTC)}
)

// ownMatches is whether a photo is what is searched for. Its subselects with a LIMIT are run for each photo; EXISTS
// could become a scan of the table.
const ownMatches = `
	($6::text[] IS NULL OR lower(p.title || E'\n' || p.description || E'\n' || coalesce((
			SELECT string_agg(g.name, E'\n') FROM photo_tags t JOIN tags g ON g.id = t.tag_id WHERE t.photo_id = p.id
		), '')) LIKE ALL ($6::text[]))
	AND ($7::text IS NULL OR lower(p.camera) LIKE $7::text)
	AND ($8::text IS NULL OR lower(p.lens) LIKE $8::text)
	AND ($9::text IS NULL OR (SELECT t.tag_id FROM photo_tags t WHERE t.photo_id = p.id
		AND t.tag_id = (SELECT g.id FROM tags g WHERE g.name = $9::text COLLATE "C") LIMIT 1) IS NOT NULL)
	AND ($10::bigint IS NULL OR (SELECT a.photo_id FROM album_photos a WHERE a.photo_id = p.id
		AND a.album_id = $10::bigint LIMIT 1) IS NOT NULL)
	AND (NOT $11::boolean OR (SELECT t.tag_id FROM photo_tags t WHERE t.photo_id = p.id LIMIT 1) IS NULL)
	AND (NOT $12::boolean OR (SELECT a.album_id FROM album_photos a WHERE a.photo_id = p.id LIMIT 1) IS NULL)
	AND ($13::boolean IS NULL OR p.private = $13::boolean)
	AND (NOT $14::boolean OR (SELECT g.photo_id FROM guest_photos g WHERE g.photo_id = p.id LIMIT 1) IS NOT NULL)
	AND ($15::bigint IS NULL OR (SELECT g.photo_id FROM guest_photos g WHERE g.photo_id = p.id
		AND g.share_id = $15::bigint LIMIT 1) IS NOT NULL)`

// ownListing is the statement of a listing: photos from a position on in one direction, and of the last one that it
// looked at whether that is one, too.
func ownListing(compare, bound, order string) string {
	return strings.NewReplacer("<compare>", compare, "<bound>", bound, "<order>", order, "<matches>", ownMatches).
		Replace(`
	SELECT w.id, w.id, w.title, w.posted_at, w.picture, w.width, w.height, w.color, w.private, w.dated, w.matches,
		w.nr FROM (
		SELECT p.*, coalesce(<matches>, false) AS matches FROM (
			SELECT o.*, coalesce(o.taken_at, o.posted_at) AS dated,
				row_number() OVER (ORDER BY coalesce(o.taken_at, o.posted_at) <order>, o.id <order>) AS nr
			FROM photos o
			WHERE o.user_id = $1 AND o.binned_at IS NULL
				AND (coalesce(o.taken_at, o.posted_at), o.id) <compare> ($2::timestamptz, $3::bigint)
				AND coalesce(o.taken_at, o.posted_at) <bound> $4::timestamptz
			ORDER BY coalesce(o.taken_at, o.posted_at) <order>, o.id <order> LIMIT $5
		) AS p
	) AS w WHERE w.matches OR w.nr = $5 ORDER BY w.dated <order>, w.id <order> LIMIT 27`)
}

var (
	ownOlder = ownListing("<", ">=", "DESC")
	ownNewer = ownListing(">", "<", "ASC")
)

// OwnPhotos reads a page of a user's own photos: of those older than a position, or if newer is set of those newer than
// it, the ones nearest to it. The zero position is before the newest.
func (s *Store) OwnPhotos(
	ctx context.Context, user int64, search OwnSearch, from OwnPosition, newer bool,
) (OwnListing, error) {
	sql, start, bound := ownOlder, latest, search.From
	if newer {
		sql, start, bound = ownNewer, earliest, search.Until
	}
	switch {
	case newer && !search.From.IsZero():
		start = OwnPosition{At: search.From}
	case !newer && !search.Until.IsZero():
		start = OwnPosition{At: search.Until}
	}
	if !from.IsZero() && from.before(start) != newer {
		start = from
	}
	if bound.IsZero() {
		bound = earliest.At
		if newer {
			bound = latest.At
		}
	}
	most := search.reads()
	return read(ctx, s, "list own photos", func(rows pgx.Rows) (OwnListing, error) {
		var l OwnListing
		var on OwnPosition // where the next page goes on
		var p OwnPhoto
		var nr int64
		matches, full := false, false
		_, err := pgx.ForEachRow(rows, []any{&p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width,
			&p.Height, &p.Color, &p.Private, &p.Dated, &matches, &nr}, func() error {
			switch {
			case matches && len(l.Photos) == OwnSize:
				full = true
			case matches:
				l.Photos = append(l.Photos, p)
			}
			if nr == most { // further ones were not looked at
				on = p.position()
			}
			return nil
		})
		if full {
			on = l.Photos[OwnSize-1].position()
		}
		l.turn(from, on, newer)
		return l, err
	}, sql, user, start.At, start.ID, bound, most, patterns(search.Words), pattern(search.Camera), pattern(search.Lens),
		orNull(search.Tag), orNull(search.Album), search.Untagged, search.Loose, search.Private,
		search.Guests, orNull(search.Link))
}

// turn brings a page into order and says where it goes on: on in the direction in which it was read, and back towards
// where it was read from.
func (l *OwnListing) turn(from, on OwnPosition, newer bool) {
	back := from
	switch {
	case from.IsZero():
	case len(l.Photos) > 0:
		back = l.Photos[0].position()
	case newer: // a list begins behind a position: that of from itself is shown
		back.ID++
	default:
		back.ID = max(back.ID-1, 0)
	}
	l.Older, l.Newer = on, back
	if newer {
		slices.Reverse(l.Photos)
		l.Older, l.Newer = back, on
	}
}

func (p *OwnPhoto) position() OwnPosition { return OwnPosition{At: p.Dated, ID: p.ID} }

// pattern is a LIKE pattern for what has text as a part, in lower case; nil for no text.
func pattern(text string) *string {
	if text == "" {
		return nil
	}
	p := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
	return &p
}

func patterns(words []string) []string {
	var all []string
	for _, word := range words {
		all = append(all, *pattern(word))
	}
	return all
}

// OwnMonth is how many photos a user has of a month.
type OwnMonth struct {
	First  time.Time // its first day, in UTC
	Photos int
}

// OwnMonths counts a user's photos that are not in the bin by the month in which they were taken, or posted where that
// is unknown, the newest month first. 100,000 photos take 30 ms.
func (s *Store) OwnMonths(ctx context.Context, user int64) ([]OwnMonth, error) {
	return read(ctx, s, "count own photos by month", func(rows pgx.Rows) ([]OwnMonth, error) {
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[OwnMonth])
		slices.SortFunc(all, func(a, b OwnMonth) int { return b.First.Compare(a.First) })
		return all, err
	}, `
		SELECT date_trunc('month', coalesce(p.taken_at, p.posted_at) AT TIME ZONE 'UTC')::date, count(*)
		FROM photos p WHERE p.user_id = $1 AND p.binned_at IS NULL GROUP BY 1`, user)
}

// OwnChoices are what a user can search their own photos by.
type OwnChoices struct {
	Cameras, Lenses []string // of the newest 1,000 photos, at most 12 each, in alphabetical order
	Albums          []OwnAlbumChoice
}

// OwnAlbumChoice is an album in a list to choose from.
type OwnAlbumChoice struct {
	ID    int64
	Title string
}

// OwnChoices reads what a user can search by: of albums the newest 30, and the one with the id chosen.
func (s *Store) OwnChoices(ctx context.Context, user, chosen int64) (OwnChoices, error) {
	return read(ctx, s, "list what own photos are searched by", func(rows pgx.Rows) (c OwnChoices, err error) {
		var kind int
		var a OwnAlbumChoice
		_, err = pgx.ForEachRow(rows, []any{&kind, &a.ID, &a.Title}, func() error {
			switch kind {
			case 1:
				c.Cameras = append(c.Cameras, a.Title)
			case 2:
				c.Lenses = append(c.Lenses, a.Title)
			case 3:
				c.Albums = append(c.Albums, a)
			}
			return nil
		})
		slices.Sort(c.Cameras)
		slices.Sort(c.Lenses)
		return c, err
	}, `
		WITH newest AS MATERIALIZED (
			SELECT p.camera, p.lens FROM photos p WHERE p.user_id = $1 AND p.binned_at IS NULL
			ORDER BY coalesce(p.taken_at, p.posted_at) DESC, p.id DESC LIMIT 1000
		)
		(SELECT 1, 0::bigint, n.camera FROM newest n WHERE n.camera IS NOT NULL GROUP BY n.camera
			ORDER BY count(*) DESC, n.camera LIMIT 12)
		UNION ALL
		(SELECT 2, 0, n.lens FROM newest n WHERE n.lens IS NOT NULL GROUP BY n.lens
			ORDER BY count(*) DESC, n.lens LIMIT 12)
		UNION ALL
		(SELECT 3, a.id, a.title FROM albums a WHERE a.user_id = $1 ORDER BY a.id DESC LIMIT 30)
		UNION ALL
		SELECT 3, a.id, a.title FROM albums a WHERE a.user_id = $1 AND a.id = $2
			AND (SELECT count(*) FROM (SELECT FROM albums b WHERE b.user_id = $1 AND b.id > $2 LIMIT 30) AS newer) = 30`,
		user, chosen)
}

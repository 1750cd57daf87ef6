package store

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// row is one row of a statement that returns rows of several kinds: the state of the database, the user, albums,
// photos. All rows of a UNION have the same columns. A kind uses the columns it needs, and the others are empty strings
// or 0. Only the methods of row know which column means what: they decode a row into a struct with names.
type row struct {
	kind                      rowKind
	nr                        int32
	id                        int64
	version                   int64
	at                        time.Time
	title, text               string
	number1, number2, number3 int32
	name, display             string
}

// rowKind tells what a row holds. Statements spell its number. It is an alias because pgx scans into a type of its own
// by reflection.
type rowKind = int32

// The kinds of rows, each with the struct it decodes into.
const (
	kindHead       rowKind = 0  // [headRow]
	kindTombstone  rowKind = 1  // [tombstoneRow]
	kindUser       rowKind = 2  // [userRow]
	kindPhoto      rowKind = 3  // [photoRow]
	kindCover      rowKind = 4  // [coverRow]
	kindPopular    rowKind = 5  // [photoRow]
	kindPerson     rowKind = 6  // [personRow]
	kindTagIdea    rowKind = 7  // [tagCountRow]
	kindFacetOwner rowKind = 8  // [facetOwnerRow]
	kindAlbum      rowKind = 9  // [albumRow]
	kindTag        rowKind = 10 // [tagRow]
	kindTagCount   rowKind = 11 // [tagCountRow]
	kindDay        rowKind = 12 // a time, [row.day]
	kindPhotoPart  rowKind = 13 // [row.sitemapPart]
	kindUserPart   rowKind = 14 // [row.part]
	kindAlbumPart  rowKind = 15 // [row.part]
	kindEntry      rowKind = 16 // [SitemapRow]
	kindParent     rowKind = 17 // [row.albumName]
	kindAlbumCover rowKind = 18 // [row.card]
)

// headRow is the state of the database that the statement saw. Every result has exactly one.
type headRow struct {
	version int64 // of the scope "all"
	readAt  time.Time
	behind  bool // home: there are photos on the other side of the position
}

// readAt is, in SQL, the time of which a statement shows the state, see [Snapshot.ReadAt]. On the primary that is the
// time of the statement. A session that may not write is one with a replica, or with what was one: it reads how far
// that has come, in the snapshot that the statement sees.
const readAt = `CASE current_setting('transaction_read_only') WHEN 'on' THEN (SELECT at FROM heartbeat)
	ELSE now() END`

func (r *row) head() headRow { return headRow{r.version, r.at, r.number1 == 1} }

// tombstoneRow is the version of something that was deleted or made private.
type tombstoneRow struct {
	question int // index of the query in a batch
	version  int64
}

func (r *row) tombstone() tombstoneRow { return tombstoneRow{r.question(), r.version} }

// userRow is the user a page is about.
type userRow struct {
	question int // index of the query in a batch
	user     *User
	version  int64
	behind   bool // there are rows on the other side of the position
}

func (r *row) user() userRow {
	user := &User{Owner: r.owner(), Bio: r.text, PhotoCount: r.number1, CreatedAt: r.at}
	return userRow{r.question(), user, r.version, r.number2 == 1}
}

// albumRow is the album a page is about.
type albumRow struct {
	album   *Album
	version int64 // of its owner
	behind  bool  // there are photos on the other side of the position
}

func (r *row) album() albumRow {
	album := &Album{
		ID: r.id, Title: r.title, Description: r.text, PhotoCount: r.number1, CreatedAt: r.at, Owner: r.owner(),
	}
	return albumRow{album, r.version, r.number2 == 1}
}

// albumName is the album that another is in.
func (r *row) albumName() AlbumName { return AlbumName{r.id, r.title} }

// tagRow says that the tag exists.
type tagRow struct {
	behind bool // there are photos on the other side of the position
}

func (r *row) tag() tagRow { return tagRow{r.number2 == 1} }

// photoRow is a photo of a listing.
type photoRow struct {
	place   int32 // rank in the result, or position in the album
	card    Card
	version int64 // of its owner; 0 where the row of the user or of the album has it
}

func (r *row) photo() photoRow { return photoRow{r.nr, r.card(), r.version} }

// card is the photo alone.
func (r *row) card() Card {
	return Card{ID: r.id, Title: r.title, PostedAt: r.at, Picture: r.picture(), Owner: r.owner()}
}

// coverRow is an album in a list of albums. Its column version holds the number of photos: album covers have no version
// of their own.
type coverRow struct {
	question int // index of the query in a batch
	cover    Cover
}

func (r *row) cover() coverRow {
	return coverRow{r.question(), Cover{ID: r.id, Title: r.title, PhotoCount: r.version, Picture: r.picture()}}
}

// personRow is a user found by a search. Its column id holds the number of photos.
type personRow struct {
	place   int32 // rank in the result, from 1
	person  FoundPerson
	version int64
}

func (r *row) person() personRow {
	return personRow{r.nr, FoundPerson{Owner: r.owner(), PhotoCount: int32(r.id), Picture: r.picture()}, r.version}
}

// tagCountRow is a tag and the number of photos that carry it, which stands in the column id.
type tagCountRow struct {
	place  int32 // rank in the result, from 1; 0 where the rows are in order
	name   string
	photos int64
}

func (r *row) tagCount() tagCountRow { return tagCountRow{r.nr, r.title, r.id} }

// facetOwnerRow is a user by whom a search can be narrowed.
type facetOwnerRow struct {
	owner   Owner
	version int64
}

func (r *row) facetOwner() facetOwnerRow { return facetOwnerRow{r.owner(), r.version} }

// day is midnight, in UTC, of a day that has photos.
func (r *row) day() time.Time { return r.at.UTC() }

func (r *row) sitemapPart() SitemapPartRow { return SitemapPartRow{N: r.part(), Changed: r.at.UTC()} }

// part is the number of a part of the sitemap.
func (r *row) part() int64 { return r.id }

func (r *row) sitemapEntry() SitemapRow { return SitemapRow{ID: r.id, Name: r.text} }

// question is the index of the query that a row answers. Statements for batches number queries from 1; other statements
// say 0.
func (r *row) question() int { return int(max(r.nr, 1)) - 1 }

func (r *row) owner() Owner { return Owner{r.name, r.display} }

// eachRow calls begin with the head of a result and f with every other row. The row is the same struct each time, so f
// must not keep it. For a page of photos this takes 25 us less than pgx.CollectRows with RowToStructByPos. Columns
// beyond those of row are scanned into more.
func eachRow(rows pgx.Rows, begin func(headRow), f func(*row), more ...any) error {
	defer rows.Close()
	var r row
	columns := append([]any{
		&r.kind, &r.nr, &r.id, &r.version, &r.at, &r.title, &r.text, &r.number1, &r.number2, &r.number3, &r.name,
		&r.display,
	}, more...)
	head := false
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		if r.kind == kindHead {
			head = true
			begin(r.head())
			continue
		}
		f(&r)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if !head {
		return errors.New("the table epoch is empty")
	}
	return nil
}

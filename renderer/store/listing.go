package store

import (
	"cmp"
	"slices"
	"time"
)

// Owner names a user whose photo is shown.
type Owner struct {
	Name, DisplayName string
}

// Card is a photo in a listing.
type Card struct {
	ID       int64
	Title    string // may be empty
	PostedAt time.Time
	Picture
	Owner
}

// Listing is one page of photos, newest first.
type Listing struct {
	Photos []Card // at most PageSize
	// Positions of the neighbouring pages: Ref.After(Newer) and Ref.Before(Older); 0 where there is none.
	Newer, Older int64
}

// newest is the position before the first page: greater than every id.
const newest = int64(1)<<62 - 1

// from makes the position of the first page explicit. At most one of before and after is not 0.
func from(before, after int64) (int64, int64) {
	if before <= 0 && after <= 0 {
		return newest, 0
	}
	if after > 0 {
		return 0, after
	}
	return before, 0
}

// listing makes a page from up to PageSize+1 cards read from a position, in either direction. behind says whether
// there are photos on the other side of the position.
func listing(cards []Card, before, after int64, behind bool) Listing {
	var l Listing
	l.Photos, l.Newer, l.Older = around(cards, func(c *Card) int64 { return c.ID }, before, after, behind)
	return l
}

// around makes a page, highest id first, from up to PageSize+1 rows, and returns the positions of the pages on both
// sides, see [Listing].
func around[T any](rows []T, id func(*T) int64, before, after int64, behind bool) (page []T, newer, older int64) {
	slices.SortFunc(rows, func(a, b T) int { return cmp.Compare(id(&b), id(&a)) })
	before, after = from(before, after)
	if len(rows) == 0 {
		switch {
		case behind && after > 0:
			return nil, 0, after + 1
		case behind:
			return nil, before - 1, 0
		}
		return nil, 0, 0
	}
	hasNewer, hasOlder := behind, behind
	more := len(rows) > PageSize
	if after > 0 {
		hasNewer = more
		rows = rows[len(rows)-min(len(rows), PageSize):]
	} else {
		hasOlder = more
		rows = rows[:min(len(rows), PageSize)]
	}
	if hasNewer {
		newer = id(&rows[0])
	}
	if hasOlder {
		older = id(&rows[len(rows)-1])
	}
	return rows, newer, older
}

package page

// MaxPhotos is how many photos one action changes at most.
const MaxPhotos = 200

// OwnFilters lists the fields of an address that say which of one's own photos a page lists: q: words; camera, lens: a
// part of the name; tagged: a tag; in: the id of an album; from, to: days; untagged, loose (in no album): 1;
// visibility: public or private; guests: 1, photos that guests have added; link: the id of the link by which they did.
func OwnFilters() []string {
	return []string{"q", "camera", "lens", "tagged", "in", "from", "to", "untagged", "loose", "visibility", "guests",
		"link"}
}

// OwnPlaces lists the fields that say where such a page begins, of which it has one: taken: a year or a month, such as
// 2024-07; before, after: a position between two photos, as the links of another page have it.
func OwnPlaces() []string { return []string{"taken", "before", "after"} }

package templates

import (
	"strings"
	"testing"
	"time"

	"flickrkillr/schema/page"
)

// TestOwnDates: beside the list stand the years, and the months of the year in which it begins; with filters without
// counts, and each link keeps them.
func TestOwnDates(t *testing.T) {
	t.Parallel()
	p := testArchive(testSite(t))
	month := func(year, month, photos int) Month {
		return Month{time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC), photos}
	}
	p.List.Months = []Month{month(2026, 11, 1200), month(2026, 3, 34), month(2025, 1, 2), month(1999, 12, 5)}
	p.Photos[0].Dated = time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	d := render(t, Private(p))
	said := func() string { return sayings(d, ".dates a") }
	if got := said(); got != "2026 1,234, November 1,200, March 34, 2025 2, 1999 5" {
		t.Errorf("the dates are %q", got)
	}
	d.attribute(".dates [aria-current]", "href", "/me/photos?taken=2026-03")
	d.attribute(".dates", "data-months", "1999,0,0,0,0,0,0,0,0,0,0,0,5;2025,2;2026,0,0,34,0,0,0,0,0,0,0,1200")
	p.List.Filters = map[string][]string{"q": {"a&b"}, "untagged": {"1"}}
	d = render(t, Private(p))
	if got := said(); got != "2026, November, March, 2025, 1999" {
		t.Errorf("with filters the dates are %q", got)
	}
	d.attribute(".dates [aria-current]", "href", "/me/photos?q=a%26b&taken=2026-03&untagged=1")
	d.attribute(".organise [name=list]", "value", "q=a%26b&untagged=1")
	d.attribute("[aria-label^='Remove the filter “']", "href", "/me/photos?untagged=1")
	d.attribute("[aria-label='Remove the filter Untagged']", "href", "/me/photos?q=a%26b")
	d.attribute(".pager [rel=next]", "href", "/me/photos?before=1720000000000000.123456789&q=a%26b&untagged=1")
}

// sayings is what the elements say that a selector finds.
func sayings(d document, selector string) string {
	var all []string
	for _, n := range d.all(selector) {
		all = append(all, text(n))
	}
	return strings.Join(all, ", ")
}

// TestOwnPart: what a script adds to the list is its photos and its links.
func TestOwnPart(t *testing.T) {
	t.Parallel()
	p := testArchive(testSite(t))
	p.List.Part = true
	d := render(t, Private(p))
	d.count(".grid li", 26)
	d.count(".pager [rel=next]", 1)
	d.count("header, form, .dates, title", 0)
}

// TestOwnBin: the bin says how many photos emptying it deletes, and asks first.
func TestOwnBin(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]string{
		1: "the photo", 9: "all 9 photos", 10_000: "all 10,000 or more photos",
	} {
		p := testPrivate(testSite(t), page.PrivateBin, "ansel", "")
		p.Bin = Bin{Count: count, More: count == binMost, Seen: "1"}
		d := render(t, Private(p))
		if got := sayings(d, "details.sure p"); !strings.Contains(got, want) {
			t.Errorf("of %d: %q", count, got)
		}
		d.count("details.sure:not([open]) button[value=empty]", 1)
		d.count("button[value=empty]", 1)
	}
}

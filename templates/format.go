package templates

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// count writes a number with its thousands apart: 12,345.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted is a count with its noun: "1 photo", "2 photos".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// titleOr is the title, or a substitute for an empty one.
func titleOr(title string) string {
	if title = clean(title); title == "" {
		return "Untitled"
	}
	return title
}

// clean removes characters that a valid page must not contain: control characters except white space, and Unicode's
// noncharacters.
func clean(s string) string {
	if strings.IndexFunc(s, forbidden) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if forbidden(c) {
			return -1
		}
		return c
	}, s)
}

func forbidden(c rune) bool {
	return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f && c <= 0x9f || c >= 0xfdd0 && c <= 0xfdef ||
		c&0xfffe == 0xfffe
}

// maxCardTitle bounds a title in a grid, in bytes: it is one line on the page, and 48 cards must fit in 30 KB in any
// script.
const maxCardTitle = 96

// shorten cuts s to at most limit bytes, with an ellipsis, between words where one is near and never within a
// character.
func shorten(s string, limit int) string {
	const ellipsis = "…"
	if len(s) <= limit {
		return s
	}
	cut := limit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	s = s[:cut]
	if space := strings.LastIndexByte(s, ' '); space > len(s)*2/3 {
		s = s[:space]
	}
	return strings.TrimRight(s, " ,.;:-") + ellipsis
}

// summary is a description fit for a search engine or a link's preview: one line of at most 160 bytes.
func summary(description, otherwise string) string {
	if line := strings.Join(strings.Fields(clean(description)), " "); line != "" {
		return shorten(line, 160)
	}
	return otherwise
}

func day(t time.Time) string      { return t.Format("2 January 2006") }
func dayStamp(t time.Time) string { return t.Format(time.DateOnly) }

// appendMonth appends the month of a card as a heading, if the card before is of another month. Cards are newest
// first.
func appendMonth(b []byte, cards []Card, at int) []byte {
	posted := cards[at].Posted.UTC()
	if at > 0 && sameMonth(cards[at-1].Posted, posted) {
		return b
	}
	return appendMonthOf(b, posted)
}

// appendMonthOf appends the month of a time as a heading.
func appendMonthOf(b []byte, at time.Time) []byte {
	at = at.UTC()
	b = at.AppendFormat(append(b, `<h2><time datetime="`...), "2006-01")
	b = at.AppendFormat(append(b, `">`...), "January 2006")
	return append(b, `</time></h2>`...)
}

func sameMonth(a, b time.Time) bool {
	a, b = a.UTC(), b.UTC()
	return a.Year() == b.Year() && a.Month() == b.Month()
}

// fact is a line of camera data.
type fact struct{ term, value string }

// gear lists what the photo was taken with, as far as it is known.
func (c Camera) gear() []fact { return known(fact{"Camera", c.Model}, fact{"Lens", c.Lens}) }

// settings lists how the camera was set, in the order in which photographers say it.
func (c Camera) settings() []fact {
	var focal, aperture, exposure, iso string
	if c.Focal > 0 {
		focal = decimal(c.Focal) + " mm"
	}
	if c.Aperture > 0 {
		aperture = "ƒ/" + decimal(c.Aperture)
	}
	if c.Exposure != "" {
		exposure = c.Exposure + " s"
	}
	if c.ISO > 0 {
		iso = count(c.ISO)
	}
	return known(fact{"Focal length", focal}, fact{"Aperture", aperture}, fact{"Exposure", exposure}, fact{"ISO", iso})
}

// known removes facts without a value.
func known(facts ...fact) []fact {
	kept := facts[:0]
	for _, f := range facts {
		if f.value = clean(f.value); f.value != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

func decimal(f float64) string { return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") }

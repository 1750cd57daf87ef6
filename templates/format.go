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

// titleOr gives the title, or what a photo without one is called.
func titleOr(title string) string {
	if title = clean(title); title == "" {
		return "Untitled"
	}
	return title
}

// clean leaves out what a valid page may not hold even as text: control characters but for white space, and Unicode's noncharacters.
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
	return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f && c <= 0x9f || c >= 0xfdd0 && c <= 0xfdef || c&0xfffe == 0xfffe
}

// maxCardTitle bounds a title in a grid, in bytes: it is one line on the page, and 48 cards have to fit in 30 KB in any script.
const maxCardTitle = 96

// shorten cuts s to at most limit bytes, with an ellipsis, between words where one is near and never within a character.
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

// month is a stretch of a user's page: the photos of one month, under one heading.
type month struct {
	label string // "November 2026"
	stamp string // "2026-11"
	first int    // how many cards come before it on the page
	cards []Card
}

// months splits cards, which stand newest first, where the month in UTC changes.
func months(cards []Card) []month {
	var all []month
	from := 0
	for i := range cards {
		if i+1 < len(cards) && sameMonth(cards[i].Posted, cards[i+1].Posted) {
			continue
		}
		at := cards[from].Posted.UTC()
		all = append(all, month{at.Format("January 2006"), at.Format("2006-01"), from, cards[from : i+1]})
		from = i + 1
	}
	return all
}

func sameMonth(a, b time.Time) bool {
	a, b = a.UTC(), b.UTC()
	return a.Year() == b.Year() && a.Month() == b.Month()
}

// fact is a line of camera data.
type fact struct{ term, value string }

// facts lists what is known, in the order in which photographers say it.
func (c Camera) facts() []fact {
	var all []fact
	add := func(term, value string) {
		if value = clean(value); value != "" {
			all = append(all, fact{term, value})
		}
	}
	add("Camera", c.Model)
	add("Lens", c.Lens)
	if c.Focal > 0 {
		add("Focal length", decimal(c.Focal)+" mm")
	}
	if c.Aperture > 0 {
		add("Aperture", "ƒ/"+decimal(c.Aperture))
	}
	if c.Exposure != "" {
		add("Exposure", c.Exposure+" s")
	}
	if c.ISO > 0 {
		add("ISO", count(c.ISO))
	}
	return all
}

func decimal(f float64) string { return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") }

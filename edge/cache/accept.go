package cache

import (
	"strings"

	"flickrkillr/schema/wire"
)

// Accept is what an Accept-Encoding header says (RFC 9110, 12.5.3) of each encoding that an edge sends: its weight in
// thousandths, 0 for not acceptable.
type Accept struct {
	br, gzip, plain int16
}

const (
	fullWeight  = 1000 // of an encoding that is named without a weight
	leastWeight = 1    // of the plain form if the header does not mention it: acceptable, and wanted least
)

// ParseAccept reads the lines of the header. Without any, only the plain form is acceptable.
func ParseAccept(lines []string) Accept {
	const unnamed = -1
	c := Accept{unnamed, unnamed, unnamed}
	var others int16 = unnamed // "*"
	for _, line := range lines {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			name, params, _ := strings.Cut(item, ";")
			switch name = strings.TrimSpace(name); {
			case strings.EqualFold(name, "br"):
				c.br = weight(params)
			case strings.EqualFold(name, wire.EncodingGzip), strings.EqualFold(name, "x-gzip"):
				c.gzip = weight(params)
			case strings.EqualFold(name, "identity"):
				c.plain = weight(params)
			case name == "*":
				others = weight(params)
			}
		}
	}
	compressed, plain := others, others
	if others == unnamed {
		compressed, plain = 0, leastWeight
	}
	if others == unnamed && c.plain == 0 && c.br == unnamed && c.gzip == unnamed {
		compressed = leastWeight // a client that refuses the plain form and names no other accepts any
	}
	if c.br == unnamed {
		c.br = compressed
	}
	if c.gzip == unnamed {
		c.gzip = compressed
	}
	if c.plain == unnamed {
		c.plain = plain
	}
	return c
}

// Gzip reports whether gzip is acceptable.
func (a Accept) Gzip() bool { return a.gzip > 0 }

// choose returns the encoding with the highest weight, of two with the same weight the smaller one: "br" if brotli is
// available, "gzip", or "" for the plain form. When none is acceptable, it returns "", as if there were no header.
func (a Accept) choose(brotli bool) string {
	switch {
	case a.br > 0 && a.br >= a.gzip && a.br >= a.plain && brotli:
		return "br"
	case a.gzip > 0 && a.gzip >= a.plain:
		return wire.EncodingGzip
	case a.plain == 0 && a.br > 0:
		return "br" // no other is acceptable
	}
	return ""
}

// Asset names the compressed file to request: assets are compressed where they are made.
func (a Accept) Asset() string {
	switch a.choose(true) {
	case "br":
		return "br"
	case wire.EncodingGzip:
		return "gz"
	}
	return ""
}

// weight reads the parameter q, in thousandths. An unreadable one makes its encoding not acceptable.
func weight(params string) int16 {
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			return thousandths(strings.TrimSpace(value))
		}
	}
	return fullWeight
}

// thousandths reads a decimal number from 0 to 1, of which three decimals count. Anything else is 0.
func thousandths(text string) int16 {
	whole, decimals, _ := strings.Cut(text, ".")
	if whole == "1" {
		return fullWeight
	}
	if whole != "0" && whole != "" {
		return 0
	}
	n := int16(0)
	for i, unit := 0, int16(100); i < len(decimals) && unit > 0; i, unit = i+1, unit/10 {
		digit := decimals[i] - '0'
		if digit > 9 {
			return 0
		}
		n += int16(digit) * unit
	}
	return n
}

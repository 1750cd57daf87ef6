package edge

import (
	"strings"

	"flickrkillr/schema/wire"
)

// codings is what an Accept-Encoding header says (RFC 9110, 12.5.3) of each form that an edge can send: its weight in thousandths.
// 0 means not acceptable.
type codings struct {
	br, gzip, plain int16
}

const (
	fullWeight  = 1000 // of a coding that is named without a weight
	leastWeight = 1    // of the plain form when the header does not mention it: acceptable, and wanted least
)

// readCodings reads the header's lines. Without any the plain form alone is acceptable.
func readCodings(lines []string) codings {
	const unnamed = -1
	c := codings{unnamed, unnamed, unnamed}
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
	packed, plain := others, others
	if others == unnamed {
		packed, plain = 0, leastWeight
	}
	if others == unnamed && c.plain == 0 && c.br == unnamed && c.gzip == unnamed {
		packed = leastWeight // who refuses the plain form and names no other takes any
	}
	if c.br == unnamed {
		c.br = packed
	}
	if c.gzip == unnamed {
		c.gzip = packed
	}
	if c.plain == unnamed {
		c.plain = plain
	}
	return c
}

// choose gives the form with the highest weight, of two alike the smaller one: "br" if that can be had, "gzip", or "" for the plain one.
// When none is acceptable, it is the plain one, as if nothing had been said.
func (c codings) choose(br bool) string {
	switch {
	case c.br > 0 && c.br >= c.gzip && c.br >= c.plain && br:
		return "br"
	case c.gzip > 0 && c.gzip >= c.plain:
		return wire.EncodingGzip
	case c.plain == 0 && c.br > 0:
		return "br" // no other will do
	}
	return ""
}

// weight reads the parameter q, in thousandths. One that cannot be read makes its coding not acceptable.
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

// thousandths reads a decimal number from 0 to 1, of which three decimals count. What is none is 0.
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

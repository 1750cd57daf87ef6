package bench

import (
	"math"
	"strconv"
	"strings"
)

// em is the font size that lengths and conditions of "sizes" are relative to: browsers' default, in CSS pixels.
const em = 16

// choose returns the address that a browser would fetch for an img element: the candidate of srcset that is just large
// enough for the width at which the picture is shown, or the largest (HTML, "Selecting an image source"; browsers may
// choose otherwise, and Chrome does when it already has a larger one). It also returns that width in CSS pixels, or 0
// if srcset and sizes do not define it.
func (v Viewport) choose(src, srcset, sizes string) (address string, width float64) {
	address = src
	slot := v.slot(sizes)
	best, bestDensity := "", 0.0
	for srcset != "" {
		var candidate, descriptor string
		candidate, descriptor, srcset = nextCandidate(srcset)
		number, err := strconv.ParseFloat(strings.TrimRight(descriptor, "wx"), 64)
		if err != nil || number <= 0 {
			number = 1
		}
		density := number
		if strings.HasSuffix(descriptor, "w") {
			density = number / slot
			width = slot
		}
		enough, bestEnough := density >= v.Density, bestDensity >= v.Density
		better := density > bestDensity // as long as none is enough
		if bestEnough {
			better = enough && density < bestDensity
		}
		if candidate != "" && (best == "" || better) {
			best, bestDensity = candidate, density
		}
	}
	if best != "" {
		address = best
	}
	return address, width
}

// nextCandidate takes one "address descriptor" from a srcset.
func nextCandidate(srcset string) (address, descriptor, rest string) {
	srcset = strings.TrimLeft(srcset, ", \t\n\f\r")
	end := strings.IndexAny(srcset, " \t\n\f\r")
	if end < 0 {
		return strings.TrimRight(srcset, ","), "", ""
	}
	address, rest = srcset[:end], srcset[end:]
	if trimmed := strings.TrimRight(address, ","); trimmed != address { // an address without a descriptor
		return trimmed, "", rest
	}
	descriptor, rest, _ = strings.Cut(rest, ",")
	return address, strings.TrimSpace(descriptor), rest
}

// slot evaluates a sizes attribute: the first length whose condition holds. "auto" depends on the layout; there is none
// here, so the value after it is used, as by browsers that do not support it. Without a usable value it is the width of
// the window (HTML, "sizes").
func (v Viewport) slot(sizes string) float64 {
	for item := range splitOutside(sizes, ',') {
		item = strings.TrimSpace(item)
		condition, length := "", item
		if strings.HasPrefix(item, "(") {
			end := strings.IndexByte(item, ')')
			if end < 0 {
				continue
			}
			condition, length = item[1:end], item[end+1:]
		}
		if condition != "" && !v.holds(condition) {
			continue
		}
		if px, ok := v.length(strings.TrimSpace(length)); ok && px > 0 {
			return px
		}
	}
	return float64(v.Width)
}

// holds evaluates a media condition on the window's width. Other conditions are false.
func (v Viewport) holds(condition string) bool {
	name, value, _ := strings.Cut(condition, ":")
	px, ok := v.length(strings.TrimSpace(value))
	switch strings.TrimSpace(name) {
	case "max-width":
		return ok && float64(v.Width) <= px
	case "min-width":
		return ok && float64(v.Width) >= px
	}
	return false
}

// length evaluates a CSS length, or the minimum or maximum of several, in CSS pixels.
func (v Viewport) length(text string) (px float64, ok bool) {
	for _, function := range [...]struct {
		name   string
		better func(a, b float64) float64
	}{{"min(", math.Min}, {"max(", math.Max}} {
		inner, found := strings.CutPrefix(text, function.name)
		if !found || !strings.HasSuffix(inner, ")") {
			continue
		}
		for item := range splitOutside(inner[:len(inner)-1], ',') {
			one, known := v.length(strings.TrimSpace(item))
			if !known {
				return 0, false
			}
			if !ok {
				px, ok = one, true
			}
			px = function.better(px, one)
		}
		return px, ok
	}
	for _, unit := range [...]struct {
		name string
		px   float64
	}{{"px", 1}, {"vw", float64(v.Width) / 100}, {"vh", float64(v.Height) / 100}, {"rem", em}, {"em", em}} {
		if digits, found := strings.CutSuffix(text, unit.name); found {
			number, err := strconv.ParseFloat(digits, 64)
			return number * unit.px, err == nil
		}
	}
	return 0, false
}

// splitOutside splits at a separator that is not in parentheses.
func splitOutside(text string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		depth, start := 0, 0
		for i := range len(text) {
			switch c := text[i]; {
			case c == '(':
				depth++
			case c == ')':
				depth--
			case c == separator && depth == 0:
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[start:])
	}
}

package templates

import "flickrkillr/schema/page"

// A photo's shape and colour reach the style sheet as classes, because the Content-Security-Policy forbids style attributes and a page
// that is cached and shared cannot carry a nonce. Each class is one digit: x1 y5 z2 is a ratio of 1.52, and rf g8 b0 is the colour #f80.
// The style sheet has one short rule a digit (1 kB in all) and adds them up, so that every ratio between 0.05 and 9.99 is exact to half a
// hundredth, 1 px in a row of 260, for about 18 bytes a photo. A digit of zero needs no class.

// minShape and maxShape bound a ratio in hundredths.
const minShape, maxShape = 5, 999

// ratio is width over height in hundredths, rounded; 100 when either is unknown.
func (im Image) ratio() int {
	if im.Width <= 0 || im.Height <= 0 {
		return 100
	}
	return min(max((200*im.Width+im.Height)/(2*im.Height), minShape), maxShape)
}

// shape gives the classes of the picture's ratio and colour.
func (im Image) shape() string { return string(im.appendShape(nil)) }

func (im Image) appendShape(b []byte) []byte {
	const digits = "0123456789abcdef"
	ratio := im.ratio()
	all := [...]struct {
		letter byte
		digit  int
	}{
		{'x', ratio / 100}, {'y', ratio / 10 % 10}, {'z', ratio % 10},
		{'r', int(im.Color >> 20 & 15)}, {'g', int(im.Color >> 12 & 15)}, {'b', int(im.Color >> 4 & 15)},
	}
	first := len(b)
	for _, c := range all {
		if c.digit == 0 {
			continue
		}
		if len(b) > first {
			b = append(b, ' ')
		}
		b = append(b, c.letter, digits[c.digit])
	}
	return b
}

// src is the address of the picture at one of page.Widths.
func (im Image) src(width int) string { return page.Image(im.ID, width).Path() }

func (im Image) appendSrc(b []byte, width int) []byte { return page.Image(im.ID, width).AppendPath(b) }

// scaled gives the size in pixels of the derivative that is width wide. A picture is never enlarged beyond its original.
func (im Image) scaled(width int) (w, h int) {
	if im.Width <= 0 || im.Height <= 0 {
		return width, width
	}
	w = min(width, im.Width)
	return w, max(1, (2*w*im.Height+im.Width)/(2*im.Width))
}

// srcset lists the derivatives with their true widths, up to the first that holds the whole original.
func (im Image) srcset() string { return string(im.appendSrcset(nil)) }

func (im Image) appendSrcset(b []byte) []byte {
	for i, width := range page.Widths() {
		if i > 0 {
			b = append(b, ',')
		}
		w, _ := im.scaled(width)
		b = append(im.appendSrc(b, width), ' ')
		b = append(appendInt(b, w), 'w')
		if im.Width > 0 && im.Width <= width {
			break
		}
	}
	return b
}

// appendGridSizes says how wide the picture will be shown in a justified grid: about 36% of a narrow window times its ratio, or 250 px times
// its ratio (the style sheet's --row). A browser that knows "auto" waits for the layout of a lazy picture and uses its true width.
func (im Image) appendGridSizes(b []byte, lazy bool) []byte {
	ratio := min(max(im.ratio(), 40), 350) // as the grid crops it
	if lazy {
		b = append(b, "auto,"...)
	}
	b = append(b, "(max-width:50em) "...)
	b = appendInt(b, min(36*ratio/100, 100))
	b = append(b, "vw,"...)
	b = appendInt(b, 250*ratio/100)
	return append(b, "px"...)
}

// stageSizes says how wide the picture will be on its own page: as wide as the window, or as its height allows.
func (im Image) stageSizes() string {
	room := append(make([]byte, 0, 32), "min(100vw,"...)
	room = appendInt(room, max(1, 90*im.ratio()/100))
	return string(append(room, "vh)"...))
}

package templates

import "flickrkillr/schema/page"

// A photo's shape, and what stands for it until it arrives, reach the style sheets as classes, because the
// Content-Security-Policy forbids style attributes and a page that is cached and shared cannot carry a nonce. Each
// class is one digit: x1 y5 z2 is a ratio of 1.52. The style sheet has one short rule a digit and adds them up, so that
// every ratio between 0.05 and 9.99 is exact to half a hundredth, 1 px in a row of 260. A digit of zero needs no class.
// ac bv ... are the six colours of the photo's blur, in base 32, each with its rule in blur.css. All take at most 27
// bytes.

// minShape and maxShape bound a ratio in hundredths.
const minShape, maxShape = 5, 999

// ratio is width over height in hundredths, rounded; 100 when either is unknown.
func (im Image) ratio() int {
	if im.Width <= 0 || im.Height <= 0 {
		return 100
	}
	return min(max((200*im.Width+im.Height)/(2*im.Height), minShape), maxShape)
}

// Bits of Image.Blur.
const (
	blurColors = 6
	blurBits   = 5 // for each of them, the first ones highest
)

// shape gives the classes of the picture's ratio and blur.
func (im Image) shape() string { return string(im.appendShape(nil)) }

func (im Image) appendShape(b []byte) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	ratio := im.ratio()
	for i, digit := range [...]int{ratio / 100, ratio / 10 % 10, ratio % 10} { // one of them is not zero
		if digit != 0 {
			b = append(b, 'x'+byte(i), digits[digit], ' ')
		}
	}
	for i := range blurColors {
		if color := im.Blur >> ((blurColors - 1 - i) * blurBits) & (1<<blurBits - 1); color != 0 {
			b = append(b, 'a'+byte(i), digits[color], ' ')
		}
	}
	return b[:len(b)-1]
}

// at is the picture at one of page.Widths, or at the widest one that is stored.
func (im Image) at(width int) page.Ref { return page.Image(im.ID, page.StoredWidth(width, im.Width)) }

// src is the address of the picture at one of page.Widths, or, of a narrower original, at the widest there is.
func (im Image) src(width int) string { return string(im.appendSrc(nil, width)) }

func (im Image) appendSrc(b []byte, width int) []byte {
	if im.Share != "" {
		return page.Share{Token: im.Share, Photo: im.Own, Width: page.StoredWidth(width, im.Width)}.AppendPath(b)
	}
	if im.Own != 0 {
		return page.OwnPicture(im.Own, page.StoredWidth(width, im.Width)).AppendPath(b)
	}
	return im.at(width).AppendPath(b)
}

// scaled gives the size in pixels of the derivative that is width wide. A picture is never enlarged beyond its
// original.
func (im Image) scaled(width int) (w, h int) {
	if im.Width <= 0 || im.Height <= 0 {
		return width, width
	}
	w = min(width, im.Width)
	return w, max(1, (2*w*im.Height+im.Width)/(2*im.Width))
}

// Widest derivatives that are offered: on a photo's own page all there are, in a listing what its largest slot can use
// at two pixels of the screen for one of the layout.
const (
	widestOnStage = 2560
	widestInGrid  = 1280
)

// srcset lists the derivatives up to one of page.Widths, with their true widths. The last is the first that holds the
// whole original.
func (im Image) srcset(widest int) string { return string(im.appendSrcset(nil, widest)) }

func (im Image) appendSrcset(b []byte, widest int) []byte {
	widest = page.StoredWidth(widest, im.Width)
	for i, width := range page.Widths() {
		if width > widest {
			break
		}
		if i > 0 {
			b = append(b, ',')
		}
		w, _ := im.scaled(width)
		b = append(im.appendSrc(b, width), ' ')
		b = append(appendInt(b, w), 'w')
	}
	return b
}

// slot says how large a listing shows its pictures: what a picture as wide as it is high takes of a narrow window's
// width, in percent, and how many CSS pixels wide it is in others (the style sheet's --row, and the quarter that most
// rows are higher).
type slot struct{ narrow, wide int }

func inGrid() slot  { return slot{36, 250} }
func inStrip() slot { return slot{39, 304} }

// Phones have three pixels of the screen for one of the layout, and slow networks. In a narrow window a listing's
// pictures are said to be less than half as wide as they are, so that a phone fetches the one of 320 px, at 1.6 of its
// pixels for one of the layout, where it would fetch the one of 640: a third of the bytes. Pictures of roomyShape
// (hundredths) or more may have a row for themselves, so they are given the half of the window that has a phone fetch
// 640.
const (
	thrift     = 45 // percent of the true width
	roomyShape = 170
	roomySlot  = 50 // percent of the window's width
)

// appendSizes says how wide the picture will be shown in a listing. It does not say "auto", by which a browser would
// find the true width of a lazy picture: it is too large for phones, see thrift.
func (im Image) appendSizes(b []byte, in slot) []byte {
	ratio := min(max(im.ratio(), 40), 350) // as the grid crops it
	narrow := in.narrow * ratio / 100 * thrift / 100
	if ratio >= roomyShape {
		narrow = roomySlot
	}
	b = append(b, "(max-width:50em) "...)
	b = appendInt(b, narrow)
	b = append(b, "vw,"...)
	b = appendInt(b, in.wide*ratio/100)
	return append(b, "px"...)
}

// stageSizes says how wide the picture will be on its own page: as wide as the window, or as its height allows.
func (im Image) stageSizes() string {
	room := append(make([]byte, 0, 32), "min(100vw,"...)
	room = appendInt(room, max(1, 90*im.ratio()/100))
	return string(append(room, "vh)"...))
}

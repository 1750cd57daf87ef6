package pictures

import (
	"image"
	"image/color"
	"image/draw"
)

// planes is a picture as three planes: luma and two of chroma as a JPEG stores them, or red, green and blue. Working on
// planes leaves a JPEG's chroma at the quarter of the pixels that it has, and saves turning it into RGB and back.
type planes struct {
	p   [3]plane
	rgb bool // Red, green and blue.
}

type plane struct {
	pix          []byte
	stride, w, h int
}

func newPlane(w, h int) plane { return plane{pix: make([]byte, w*h), stride: w, w: w, h: h} }

func (p plane) row(y int) []byte { return p.pix[y*p.stride:][:p.w] }

// shrink averages blocks of factor x factor pixels; those at the right and lower edge may be smaller. Transparent
// pixels are laid on white. What is no JPEG is converted one strip at a time, so that a large PNG is never held twice.
func shrink(img image.Image, factor int) planes {
	size := img.Bounds().Size()
	w, h := ceilDiv(size.X, factor), ceilDiv(size.Y, factor)
	if ycc, ok := img.(*image.YCbCr); ok {
		var out planes
		for i, full := range planesOf(ycc) {
			// Rounding up for the factor and for the subsampling gives the same size in either order.
			out.p[i] = average(full, factor)
		}
		return out
	}
	out := planes{rgb: true, p: [3]plane{newPlane(w, h), newPlane(w, h), newPlane(w, h)}}
	strip := image.NewRGBA(image.Rect(0, 0, size.X, factor))
	for y := range h {
		rows := min(factor, size.Y-y*factor)
		band := strip.SubImage(image.Rect(0, 0, size.X, rows)).(*image.RGBA)
		draw.Draw(band, band.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
		draw.Draw(band, band.Rect, img, img.Bounds().Min.Add(image.Pt(0, y*factor)), draw.Over)
		for x := range w {
			r, g, b := averageRGB(band, x*factor, min(factor, size.X-x*factor))
			out.p[0].pix[y*w+x], out.p[1].pix[y*w+x], out.p[2].pix[y*w+x] = r, g, b
		}
	}
	return out
}

// planesOf gives the planes of a YCbCr picture without copying them. Its strides may be wider than the picture.
func planesOf(img *image.YCbCr) [3]plane {
	b := img.Rect
	// The chroma of the last pixel tells how large the chroma planes are, whatever the subsampling.
	last, first := img.COffset(b.Max.X-1, b.Max.Y-1), img.COffset(b.Min.X, b.Min.Y)
	cw, ch := (last-first)%img.CStride+1, (last-first)/img.CStride+1
	luma := plane{pix: img.Y[img.YOffset(b.Min.X, b.Min.Y):], stride: img.YStride, w: b.Dx(), h: b.Dy()}
	return [3]plane{
		luma,
		{pix: img.Cb[first:], stride: img.CStride, w: cw, h: ch},
		{pix: img.Cr[first:], stride: img.CStride, w: cw, h: ch},
	}
}

func averageRGB(band *image.RGBA, x, cols int) (byte, byte, byte) {
	rows := band.Rect.Dy()
	var r, g, b int
	for y := range rows {
		p := band.Pix[y*band.Stride+x*4:][:cols*4]
		for i := 0; i < len(p); i += 4 {
			r, g, b = r+int(p[i]), g+int(p[i+1]), b+int(p[i+2])
		}
	}
	n := rows * cols
	return byte((r + n/2) / n), byte((g + n/2) / n), byte((b + n/2) / n)
}

func average(src plane, factor int) plane {
	if factor == 1 {
		return src
	}
	dst := newPlane(ceilDiv(src.w, factor), ceilDiv(src.h, factor))
	sums := make([]uint32, dst.w)
	for y := range dst.h {
		rows := min(factor, src.h-y*factor)
		clear(sums)
		for r := range rows {
			addBlocks(sums, src.row(y*factor+r), factor)
		}
		out := dst.row(y)
		for x, s := range sums {
			n := uint32(rows * min(factor, src.w-x*factor))
			out[x] = byte((s + n/2) / n)
		}
	}
	return dst
}

// addBlocks adds each factor neighbours of row to one of sums. The usual factors are written out: three times faster.
func addBlocks(sums []uint32, row []byte, factor int) {
	whole := len(row) / factor
	switch factor {
	case 2:
		for i := range whole {
			sums[i] += uint32(row[2*i]) + uint32(row[2*i+1])
		}
	case 4:
		for i := range whole {
			r := row[4*i : 4*i+4]
			sums[i] += uint32(r[0]) + uint32(r[1]) + uint32(r[2]) + uint32(r[3])
		}
	default:
		for i := range whole {
			for _, v := range row[i*factor : (i+1)*factor] {
				sums[i] += uint32(v)
			}
		}
	}
	for _, v := range row[whole*factor:] {
		sums[whole] += uint32(v)
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

package heif

import (
	"encoding/binary"
	"fmt"
	"image"
)

// layout is where the decoder puts the planes of a picture.
type layout struct {
	size    image.Rectangle
	colors  uint32
	ratio   image.YCbCrSubsampleRatio
	luma    int // bytes of a row
	chroma  int // of a row of both other planes
	chromas int // rows of them
	bytes   int
}

// rowBytes is the length of a row of pixels that have so many bytes each, as libheif has it in memory: for at least 64,
// an even number of them.
func rowBytes(pixels, each int) int { return (max(pixels+pixels&1, 64)*each + 15) &^ 15 }

// layoutOf reads what the decoder says of a picture of at most so many pixels.
func layoutOf(said []byte, pixels int) (l layout, err error) {
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(said[4*i:]) }
	w, h := int64(number(0)), int64(number(1))
	if w < 1 || h < 1 || w > int64(pixels)/h {
		return l, fmt.Errorf("%w: %d x %d pixels", ErrFile, w, h)
	}
	l = layout{size: image.Rect(0, 0, int(w), int(h)), colors: number(2)}
	switch l.colors {
	case colorsGray:
		l.luma = rowBytes(int(w), 1)
	case colorsRGB:
		l.luma = rowBytes(int(w), 4)
	case colorsYCbCr:
		l.luma, l.chroma, l.chromas = rowBytes(int(w), 1), rowBytes(int(w+1)/2, 1), int(h)
		switch number(3) {
		case chroma420:
			l.ratio, l.chromas = image.YCbCrSubsampleRatio420, int(h+1)/2
		case chroma422:
			l.ratio = image.YCbCrSubsampleRatio422
		case chroma444:
			l.ratio, l.chroma = image.YCbCrSubsampleRatio444, l.luma
		default:
			return l, fmt.Errorf("%w: chroma %d", ErrFile, number(3))
		}
	default:
		return l, fmt.Errorf("%w: colours %d", ErrFile, l.colors)
	}
	l.bytes = l.luma*int(h) + 2*l.chroma*l.chromas
	return l, nil
}

// image is the picture whose planes are in data.
func (l layout) image(data []byte) image.Image {
	switch l.colors {
	case colorsGray:
		return &image.Gray{Pix: data, Stride: l.luma, Rect: l.size}
	case colorsRGB:
		return &image.NRGBA{Pix: data, Stride: l.luma, Rect: l.size}
	}
	first := l.luma * l.size.Dy()
	second := first + l.chroma*l.chromas
	return &image.YCbCr{Y: data[:first], Cb: data[first:second], Cr: data[second:], YStride: l.luma, CStride: l.chroma,
		SubsampleRatio: l.ratio, Rect: l.size}
}

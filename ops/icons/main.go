// Command icons draws the site's mark, a picture frame with the red lamp of a darkroom, in every form that browsers and
// systems request. Run it from the root of the repository after a change of the mark: go run ./ops/icons.
//
// **Input**: none. **Output**: templates/static/icon*.{svg,png} and templates/files/{favicon.ico,apple-touch-icon.png},
// which are committed. **Must not touch**: anything else.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"math"
	"os"
)

// The mark in a square of 16 by 16; lengths count from its middle.
const (
	corner      = 4    // radius of the ground's corners
	frameHalf   = 4.6  // from the middle to the middle of the frame's line
	frameCorner = 1.7  // radius of the frame's corners, in the middle of its line
	frameLine   = 1.25 // width of the frame's line
	lampRadius  = 2.25
)

var (
	ground = color.NRGBA{0x12, 0x12, 0x11, 0xff}
	paper  = color.NRGBA{0xec, 0xec, 0xe8, 0xff}
	lamp   = color.NRGBA{0xff, 0x8f, 0x6b, 0xff}
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	for name, size := range map[string]int{"icon-192": 192, "icon-512": 512} {
		if err := writePNG("templates/static/"+name+".png", draw(size, 1, corner)); err != nil {
			return err
		}
	}
	// A system cuts the maskable icon to its own shape and shows at least a circle of 80%; iOS rounds the corners of a
	// full square.
	if err := writePNG("templates/static/icon-maskable.png", draw(512, .8, 0)); err != nil {
		return err
	}
	if err := writePNG("templates/files/apple-touch-icon.png", draw(180, .95, 0)); err != nil {
		return err
	}
	ico, err := icon(16, 32, 48)
	if err != nil {
		return err
	}
	if err := os.WriteFile("templates/files/favicon.ico", ico, 0o644); err != nil {
		return err
	}
	return os.WriteFile("templates/static/icon.svg", []byte(svg()), 0o644)
}

func svg() string {
	at, side := 8-frameHalf, 2*frameHalf
	return fmt.Sprintf(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">`+
			`<rect width="16" height="16" rx="%v" fill="%s"/>`+
			`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%v" fill="none" stroke="%s" stroke-width="%v"/>`+
			`<circle cx="8" cy="8" r="%v" fill="%s"/></svg>`,
		corner, hex(ground), at, at, side, side, frameCorner, hex(paper), frameLine, lampRadius, hex(lamp),
	)
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// draw draws the mark in a square of size pixels, scaled around its middle, on a ground with corners of this radius.
func draw(size int, scale, radius float64) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, size, size))
	unit := 16 / float64(size)
	for y := range size {
		for x := range size {
			px, py := (float64(x)+.5)*unit-8, (float64(y)+.5)*unit-8
			cover := func(distance, unit float64) float64 { return min(1, max(0, .5-distance/unit)) }
			c := ground
			c.A = uint8(math.Round(255 * cover(box(px, py, 8, radius), unit)))
			mx, my, mark := px/scale, py/scale, unit/scale
			c = mix(c, paper, cover(math.Abs(box(mx, my, frameHalf, frameCorner))-frameLine/2, mark))
			c = mix(c, lamp, cover(math.Hypot(mx, my)-lampRadius, mark))
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// box is the distance from the edge of a square around the middle; negative inside.
func box(x, y, half, radius float64) float64 {
	qx, qy := math.Abs(x)-half+radius, math.Abs(y)-half+radius
	return math.Hypot(max(qx, 0), max(qy, 0)) + min(max(qx, qy), 0) - radius
}

func mix(a, b color.NRGBA, part float64) color.NRGBA {
	m := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + part*(float64(b)-float64(a)))) }
	return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), a.A}
}

func writePNG(path string, m image.Image) error {
	b, err := encode(m)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

func encode(m image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, m)
	return b.Bytes(), err
}

// icon is an ICO file: a directory, then a PNG of each size.
func icon(sizes ...int) ([]byte, error) {
	head, body := []byte{0, 0, 1, 0, byte(len(sizes)), 0}, []byte(nil)
	for _, size := range sizes {
		file, err := encode(draw(size, 1, corner))
		if err != nil {
			return nil, err
		}
		head = append(head, byte(size), byte(size), 0, 0, 1, 0, 32, 0)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(file)))
		head = binary.LittleEndian.AppendUint32(head, uint32(6+16*len(sizes)+len(body)))
		body = append(body, file...)
	}
	return append(head, body...), nil
}

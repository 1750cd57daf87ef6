package pictures_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"math/rand/v2"
	"testing"

	"flickrkillr/renderer/pictures"
)

// hideInGIF puts a block with a secret behind the last block of each frame.
func hideInGIF(t *testing.T, file []byte) []byte {
	t.Helper()
	table := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	out := bytes.Clone(file[:13+table(file[10])])
	for at := len(out); ; {
		begin := at
		switch file[at] {
		case ';':
			return append(out, ';')
		case '!':
			at += 2
		case ',':
			at += 11 + table(file[at+9])
		default:
			t.Fatalf("%x is no block of a GIF", file[at])
		}
		for file[at] != 0 {
			at += 1 + int(file[at])
		}
		out = append(out, file[begin:at]...)
		if file[begin] == ',' {
			out = append(append(out, byte(len(secret))), secret...)
		}
		at++
		out = append(out, 0)
	}
}

// TestShareGIFBlocks: what the blocks of a frame have behind its last pixel goes, and every pixel of every frame stays.
func TestShareGIFBlocks(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	g := &gif.GIF{}
	for frame := range 12 {
		colors := color.Palette(palette.Plan9[:2<<(frame%8)])
		img := image.NewPaletted(image.Rect(0, 0, 1+r.IntN(300), 1+r.IntN(300)), colors)
		for i := range img.Pix {
			if frame%3 == 0 || i%64 == 0 { // noise fills the table of codes, stripes have long codes
				img.Pix[i] = byte(r.IntN(len(colors)))
			} else {
				img.Pix[i] = img.Pix[i-1]
			}
		}
		g.Image, g.Delay = append(g.Image, img), append(g.Delay, 10)
	}
	g.Config.Width, g.Config.Height = 300, 300
	var plain bytes.Buffer
	if err := gif.EncodeAll(&plain, g); err != nil {
		t.Fatal(err)
	}
	if shared := share(t, plain.Bytes()); !bytes.Equal(shared, plain.Bytes()) {
		t.Errorf("a file that hides nothing has %d bytes, and others get %d", plain.Len(), len(shared))
	}
	got, err := gif.DecodeAll(bytes.NewReader(share(t, hideInGIF(t, plain.Bytes()))))
	if err != nil || len(got.Image) != len(g.Image) || got.LoopCount != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, img := range got.Image {
		if img.Bounds() != g.Image[i].Bounds() || !bytes.Equal(img.Pix, g.Image[i].Pix) {
			t.Errorf("frame %d is another", i)
		}
	}
}

// TestShareGIFApplication: the extension that says how often a picture repeats says nothing else.
func TestShareGIFApplication(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := gif.Encode(&plain, sample(), nil); err != nil {
		t.Fatal(err)
	}
	end := plain.Len() - 1
	for _, extension := range []string{"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x07" + secret[:7] + "\x00",
		"!\xff\x04NETS\x0b" + secret[:11] + "\x00"} {
		file := append(append(bytes.Clone(plain.Bytes()[:end]), extension...), ';')
		if shared := share(t, file); !bytes.Equal(shared, plain.Bytes()) {
			t.Errorf("%q is shared", extension)
		}
	}
}

// TestShareWebPFrames: of a frame of an animation what draws it stays.
func TestShareWebPFrames(t *testing.T) {
	t.Parallel()
	frame := func(chunks ...[]byte) []byte {
		return chunkOf(binary.LittleEndian, "ANMF", string(make([]byte, 16))+string(bytes.Join(chunks, nil)), false)
	}
	file := func(frames ...[]byte) []byte {
		body := append([]byte("WEBP"), chunkOf(binary.LittleEndian, "VP8X", "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00",
			false)...)
		body = append(body, bytes.Join(frames, nil)...)
		return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
	}
	alpha := chunkOf(binary.LittleEndian, "ALPH", "odd", false)
	hidden := chunkOf(binary.LittleEndian, "HIDE", secret, false)
	want := file(frame(alpha, losslessWebP), frame(losslessWebP))
	got := share(t, file(frame(hidden, alpha, hidden, losslessWebP), frame(losslessWebP, hidden)))
	if !bytes.Equal(got, want) {
		t.Errorf("others get\n%q, want\n%q", got, want)
	}
	broken := file(frame(append([]byte("HIDE\xff\x00\x00\x00"), secret...)))
	if _, err := pictures.Share(broken); err == nil {
		t.Error("a frame whose chunks are broken is shared")
	}
}

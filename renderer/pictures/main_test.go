package pictures_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

func TestMain(m *testing.M) {
	if as := os.Getenv(servesAs); as != "" {
		os.Exit(serve(as))
	}
	testenv.Main(m)
}

func openDir(t testing.TB) *pictures.Dir {
	t.Helper()
	dir, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// landscape is a picture whose top half is a blue that darkens to the left, and whose bottom half is sand.
func landscape(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{uint8(20 + 40*x/w), uint8(60 + 80*x/w), uint8(120 + 100*x/w), 255}
			if y >= h/2 {
				c = color.RGBA{214, 178, 120, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// exifField is one entry of a TIFF directory; data is already in big-endian form, count in units of its kind.
type exifField struct {
	tag, kind uint16
	count     uint32
	data      []byte
}

func ascii(tag uint16, s string) exifField {
	return exifField{tag, 2, uint32(len(s) + 1), append([]byte(s), 0)}
}

func short(tag, v uint16) exifField {
	return exifField{tag, 3, 1, binary.BigEndian.AppendUint16(nil, v)}
}

func rationals(tag uint16, v ...uint32) exifField {
	var b []byte
	for _, n := range v {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return exifField{tag, 5, uint32(len(v) / 2), b}
}

// withEXIF puts an EXIF block with the three usual directories right behind the start of a JPEG.
func withEXIF(t testing.TB, jpg []byte, main, camera, place []exifField) []byte {
	t.Helper()
	const pointer = 4 // The kind LONG.
	tiff := []byte("MM\x00*\x00\x00\x00\x08")
	size := func(fields []exifField) (n uint32) {
		n = uint32(2 + 12*len(fields) + 4)
		for _, f := range fields {
			if len(f.data) > 4 {
				n += uint32(len(f.data))
			}
		}
		return n
	}
	link := func(tag uint16, at uint32) exifField {
		return exifField{tag, pointer, 1, binary.BigEndian.AppendUint32(nil, at)}
	}
	main = append(main[:len(main):len(main)], link(0x8769, 0), link(0x8825, 0))
	cameraAt := 8 + size(main)
	placeAt := cameraAt + size(camera)
	main[len(main)-2], main[len(main)-1] = link(0x8769, cameraAt), link(0x8825, placeAt)
	for _, fields := range [][]exifField{main, camera, place} {
		data := uint32(len(tiff) + 2 + 12*len(fields) + 4)
		var far []byte
		tiff = binary.BigEndian.AppendUint16(tiff, uint16(len(fields)))
		for _, f := range fields {
			tiff = binary.BigEndian.AppendUint16(tiff, f.tag)
			tiff = binary.BigEndian.AppendUint16(tiff, f.kind)
			tiff = binary.BigEndian.AppendUint32(tiff, f.count)
			if len(f.data) <= 4 {
				tiff = append(tiff, append(bytes.Clone(f.data), 0, 0, 0, 0)[:4]...)
				continue
			}
			tiff = binary.BigEndian.AppendUint32(tiff, data+uint32(len(far)))
			far = append(far, f.data...)
		}
		tiff = append(binary.BigEndian.AppendUint32(tiff, 0), far...)
	}
	block := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{}, jpg[:2]...)
	out = append(out, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(block)+2))
	return append(append(out, block...), jpg[2:]...)
}

// greyPNG is a PNG of one bit a pixel, all black, made row by row: 20,000 x 20,000 of it is 48 KB.
func greyPNG(t testing.TB, w, h int) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		body := append([]byte(kind), data...)
		head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		out.Write(head)
		out.Write(body)
		out.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	}
	header := binary.BigEndian.AppendUint32(nil, uint32(w))
	header = binary.BigEndian.AppendUint32(header, uint32(h))
	chunk("IHDR", append(header, 1, 0, 0, 0, 0))
	var packed bytes.Buffer
	z, err := zlib.NewWriterLevel(&packed, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]byte, 1+(w+7)/8)
	for range h {
		if _, err := z.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	chunk("IDAT", packed.Bytes())
	chunk("IEND", nil)
	return out.Bytes()
}

func readStored(t testing.TB, store pictures.Store, id string) []byte {
	t.Helper()
	r, err := store.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

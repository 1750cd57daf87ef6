package pictures_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"runtime"
	"testing"

	"golang.org/x/image/webp"

	"flickrkillr/renderer/pictures"
)

// secret stands in each file where only its owner may see it.
const secret = "GPS 47.3769 N 8.5417 E"

// jpegSegment is a segment of a JPEG.
func jpegSegment(marker byte, body string) []byte {
	return append([]byte{0xff, marker, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
}

// exifOf is EXIF data with an orientation and the secret as a description.
func exifOf(orientation byte) string {
	text := secret + "\x00"
	return "MM\x00*\x00\x00\x00\x08\x00\x02" +
		"\x01\x0e\x00\x02\x00\x00\x00" + string([]byte{byte(len(text))}) + "\x00\x00\x00\x26" +
		"\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string([]byte{orientation}) + "\x00\x00" +
		"\x00\x00\x00\x00" + text
}

func sample() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 40, 24))
	for i := range 40 * 24 {
		img.Set(i%40, i/40, color.RGBA{uint8(i * 5), uint8(i * 3), uint8(i), 255})
	}
	return img
}

// share returns the form for others of a file.
func share(t *testing.T, file []byte) []byte {
	t.Helper()
	s, err := pictures.Share(file)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, s.Size)
	if n, err := s.ReadAt(bytes.NewReader(file), whole, 0); n != len(whole) || err != nil {
		t.Fatalf("%d of %d bytes, %v", n, len(whole), err)
	}
	for from := range len(whole) { // and from every place
		part := make([]byte, min(7, len(whole)-from))
		if n, err := s.ReadAt(bytes.NewReader(file), part, int64(from)); n != len(part) || err != nil ||
			!bytes.Equal(part, whole[from:from+len(part)]) {
			t.Fatalf("%d bytes from %d: %x, %v", n, from, part, err)
		}
	}
	if bytes.Contains(whole, []byte("GPS")) {
		t.Error("the form for others says where the photo was taken")
	}
	return whole
}

// orientationOf returns the orientation in the EXIF data of a file; 0: it has none.
func orientationOf(file []byte) byte {
	at := bytes.Index(file, []byte("MM\x00*"))
	if at < 0 {
		return 0
	}
	entry := bytes.Index(file[at:], []byte("\x01\x12\x00\x03"))
	return file[at+entry+9]
}

func samePixels(t *testing.T, a, b image.Image) {
	t.Helper()
	if a.Bounds() != b.Bounds() {
		t.Fatalf("sizes %v and %v", a.Bounds(), b.Bounds())
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if a.At(x, y) != b.At(x, y) {
				t.Fatalf("another pixel at %d, %d", x, y)
			}
		}
	}
}

// TestShareJPEG: others get the same picture, turned as it was, and nothing that its file says besides.
func TestShareJPEG(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, sample(), nil); err != nil {
		t.Fatal(err)
	}
	jfif := jpegSegment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
	thumbnail := jpegSegment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x02\x04"+secret)
	adobe := jpegSegment(0xee, "Adobe\x00\x64\x00\x00\x00\x00\x01")
	profile := jpegSegment(0xe2, "ICC_PROFILE\x00\x01\x01colours")
	for _, orientation := range []byte{1, 6} {
		file := bytes.Join([][]byte{
			plain.Bytes()[:2], thumbnail, jpegSegment(0xe1, "Exif\x00\x00"+exifOf(orientation)), profile,
			jpegSegment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+secret), jpegSegment(0xed, "Photoshop 3.0\x00"+secret),
			jpegSegment(0xe2, "MPF\x00"+secret), jpegSegment(0xe0, "JFXX\x00"+secret), jpegSegment(0xfe, secret),
			adobe, jpegSegment(0xee, "Adobe"+secret), jpegSegment(0xc8, secret), jpegSegment(0xde, secret),
			jpegSegment(0xf0, secret), jpegSegment(0x02, secret),
			plain.Bytes()[2:], []byte("\xff\xd8 a further picture: " + secret),
		}, nil)
		shared := share(t, file)
		img, err := jpeg.Decode(bytes.NewReader(shared))
		if err != nil {
			t.Fatal(err)
		}
		want, err := jpeg.Decode(bytes.NewReader(plain.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		samePixels(t, img, want)
		if !bytes.Contains(shared, profile) || !bytes.Contains(shared, jfif) ||
			!bytes.Contains(shared, adobe) {
			t.Error("the colour profile, JFIF or Adobe's colour transform is lost")
		}
		if got := orientationOf(shared); got != orientation && (orientation != 1 || got != 0) {
			t.Errorf("orientation %d, want %d", got, orientation)
		}
		info, err := pictures.Inspect(t.Context(), shared, pictures.Limits{})
		if err != nil || (info.Width == 24) != (orientation == 6) {
			t.Errorf("it is %d px wide, %v", info.Width, err)
		}
	}
	if _, err := pictures.Share(plain.Bytes()[:plain.Len()-2]); !errors.Is(err, pictures.ErrNotShared) {
		t.Errorf("a file without an end: %v", err)
	}
}

func chunkOf(order binary.AppendByteOrder, name, body string, png bool) []byte {
	if !png {
		b := append(order.AppendUint32([]byte(name), uint32(len(body))), body...)
		return append(b, make([]byte, len(body)&1)...)
	}
	b := append(append(order.AppendUint32(nil, uint32(len(body))), name...), body...)
	return order.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func TestSharePNG(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := png.Encode(&plain, sample()); err != nil {
		t.Fatal(err)
	}
	const head = 33 // the signature and IHDR
	file := bytes.Join([][]byte{
		plain.Bytes()[:head], chunkOf(binary.BigEndian, "tEXt", "Comment\x00"+secret, true),
		chunkOf(binary.BigEndian, "eXIf", exifOf(6), true), chunkOf(binary.BigEndian, "gAMA", "\x00\x00\xb1\x8f", true),
		plain.Bytes()[head:], []byte(secret),
	}, nil)
	shared := share(t, file)
	img, err := png.Decode(bytes.NewReader(shared))
	if err != nil {
		t.Fatal(err)
	}
	samePixels(t, img, sample())
	if orientationOf(shared) != 6 || !bytes.Contains(shared, []byte("gAMA")) {
		t.Error("the orientation or the gamma is lost")
	}
}

func TestShareGIF(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := gif.Encode(&plain, sample(), nil); err != nil {
		t.Fatal(err)
	}
	at := 13 + 3<<(plain.Bytes()[10]&7+1)
	if plain.Bytes()[10]&0x80 == 0 {
		at = 13
	}
	loop := "!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
	file := bytes.Join([][]byte{plain.Bytes()[:at], []byte(loop),
		[]byte("!\xfe" + string([]byte{byte(len(secret))}) + secret + "\x00"),
		[]byte("!\xf9\x04\x00\x05\x00\x00" + string([]byte{byte(len(secret))}) + secret + "\x00"),
		[]byte("!\xce" + string([]byte{byte(len(secret))}) + secret + "\x00"),
		[]byte("!\xff\x0bXMP DataXMP" + string([]byte{byte(len(secret))}) + secret + "\x00"),
		plain.Bytes()[at:], []byte(secret)}, nil)
	shared := share(t, file)
	img, err := gif.Decode(bytes.NewReader(shared))
	if err != nil {
		t.Fatal(err)
	}
	want, err := gif.Decode(bytes.NewReader(plain.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	samePixels(t, img, want)
	if !bytes.Contains(shared, []byte(loop)) {
		t.Error("it does not repeat any more")
	}
}

// losslessWebP is a picture of one pixel.
var losslessWebP = chunkOf(binary.LittleEndian, "VP8L",
	"\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00", false)

func TestShareWebP(t *testing.T) {
	t.Parallel()
	body := bytes.Join([][]byte{[]byte("WEBP"),
		chunkOf(binary.LittleEndian, "VP8X", "\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00", false), losslessWebP,
		chunkOf(binary.LittleEndian, "EXIF", exifOf(6), false), chunkOf(binary.LittleEndian, "XMP ", secret, false),
	}, nil)
	file := append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
	if _, err := webp.Decode(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	shared := share(t, append(file, secret...))
	if _, err := webp.Decode(bytes.NewReader(shared)); err != nil {
		t.Fatal(err)
	}
	if orientationOf(shared) != 6 || shared[20] != 0x08 ||
		int(binary.LittleEndian.Uint32(shared[4:])) != len(shared)-8 {
		t.Errorf("orientation %d, flags %x, %d of %d bytes", orientationOf(shared), shared[20],
			binary.LittleEndian.Uint32(shared[4:]), len(shared))
	}
}

// TestShareOddWebP: a file that ends without the byte that makes its last chunk even gets it, so that what follows is
// at its place.
func TestShareOddWebP(t *testing.T) {
	t.Parallel()
	extended := chunkOf(binary.LittleEndian, "VP8X", "\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", false)
	body := bytes.Join([][]byte{[]byte("WEBP"), extended,
		chunkOf(binary.LittleEndian, "EXIF", exifOf(6), false), losslessWebP,
		chunkOf(binary.LittleEndian, "ALPH", "odd", false)[:8+3]}, nil)
	file := append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
	shared := share(t, file)
	if at := bytes.Index(shared, []byte("odd\x00EXIF")); at < 0 || len(shared)%2 != 0 ||
		int(binary.LittleEndian.Uint32(shared[4:])) != len(shared)-8 {
		t.Errorf("what follows is not at an even place: %q", shared)
	}
}

// TestShareWithoutClock: what others get does not depend on how long it takes to read what the file says. Of so many
// metadata a reader with a clock finds no orientation.
func TestShareWithoutClock(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := png.Encode(&plain, sample()); err != nil {
		t.Fatal(err)
	}
	texts := bytes.Repeat(chunkOf(binary.BigEndian, "tEXt", "a\x00b", true), 500_000)
	file := bytes.Join([][]byte{plain.Bytes()[:33], texts, chunkOf(binary.BigEndian, "eXIf", exifOf(6), true),
		plain.Bytes()[33:]}, nil)
	form, err := pictures.Share(file)
	if err != nil {
		t.Fatal(err)
	}
	shared := make([]byte, form.Size)
	if _, err := form.ReadAt(bytes.NewReader(file), shared, 0); err != nil || orientationOf(shared) != 6 {
		t.Errorf("orientation %d, %v", orientationOf(shared), err)
	}
}

// TestShareForgetsFile: a form keeps no byte of the original in memory.
func TestShareForgetsFile(t *testing.T) {
	t.Parallel()
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, sample(), nil); err != nil {
		t.Fatal(err)
	}
	file := bytes.Clone(plain.Bytes())
	gone := make(chan struct{})
	runtime.AddCleanup(&file[0], func(done chan struct{}) { close(done) }, gone)
	form, err := pictures.Share(file)
	if err != nil {
		t.Fatal(err)
	}
	file = nil
	for range 100 { // the second collection at the latest finds it
		runtime.GC()
		select {
		case <-gone:
			runtime.KeepAlive(form)
			return
		default:
			runtime.Gosched()
		}
	}
	runtime.KeepAlive(form)
	t.Error("the original is still in memory")
}

// TestShareManyParts: a file that would make a form of very many parts is refused, and costs no memory. It is not
// parallel, as what others allocate would count.
func TestShareManyParts(t *testing.T) {
	var plain bytes.Buffer
	if err := png.Encode(&plain, sample()); err != nil {
		t.Fatal(err)
	}
	header := 8 + 25 // the signature and IHDR
	pair := append(chunkOf(binary.BigEndian, "gAMA", "\x00\x00\xb1\x8f", true),
		chunkOf(binary.BigEndian, "tEXt", "a\x00b", true)...)
	file := bytes.Join([][]byte{plain.Bytes()[:header], bytes.Repeat(pair, 100_000), plain.Bytes()[header:]}, nil)
	var err error
	allocated := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			_, err = pictures.Share(file)
		}
	}).AllocedBytesPerOp()
	if !errors.Is(err, pictures.ErrNotShared) || allocated > 2<<20 {
		t.Errorf("%d bytes allocated, %v", allocated, err)
	}
}

// FuzzShare: no file makes it panic, and what it makes is what its parts say.
func FuzzShare(f *testing.F) {
	var j, p bytes.Buffer
	if err := errors.Join(jpeg.Encode(&j, sample(), nil), png.Encode(&p, sample())); err != nil {
		f.Fatal(err)
	}
	f.Add(j.Bytes())
	f.Add(p.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := pictures.Share(file)
		if err != nil {
			return
		}
		whole := make([]byte, s.Size)
		if n, err := s.ReadAt(bytes.NewReader(file), whole, 0); int64(n) != s.Size || err != nil {
			t.Fatalf("%d of %d bytes, %v", n, s.Size, err)
		}
	})
}

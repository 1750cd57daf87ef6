package pictures_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/gif"
	"runtime"
	"strings"
	"testing"

	"github.com/bep/imagemeta"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

// A PNG of 48 KB that would be 400 megapixels is refused by its header. Memory is what is asserted, not time: what is
// not allocated cannot be filled. Not parallel, because other tests allocate too.
func TestBombIsRefusedByItsHeader(t *testing.T) {
	store := openDir(t)
	bomb := greyPNG(t, 20_000, 20_000)
	if len(bomb) > 60_000 {
		t.Fatalf("the bomb has %d bytes; it should be small", len(bomb))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := pictures.Ingest(t.Context(), store, bytes.NewReader(bomb), pictures.Limits{})
	_, inspected := pictures.Inspect(t.Context(), bomb, pictures.Limits{}) // as an upload is
	runtime.ReadMemStats(&after)
	var refused *pictures.RefusedError
	for _, err := range []error{err, inspected} {
		if !errors.As(err, &refused) || refused.Reason != pictures.TooManyPixels {
			t.Fatalf("%v, want TooManyPixels", err)
		}
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("refusing it allocated %d bytes, want at most 1 MiB", used)
	}
	// And if one ever got into the store: no derivative is made of it either.
	id := pictures.ID(bomb)
	if err := store.Put(t.Context(), id, bytes.NewReader(bomb)); err != nil {
		t.Fatal(err)
	}
	if _, err := pictures.Derive(t.Context(), store, id, 320); !errors.As(err, &refused) {
		t.Errorf("Derive = %v, want a RefusedError", err)
	}
}

// Nothing but pixels survives into a derivative: not the place, not a page hidden behind the picture, not a script in
// a comment.
func TestDerivativesHoldNothingHidden(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	jpg := jpegOf(t, landscape(600, 400))
	const script = "<html><script>alert(document.cookie)</script>"
	comment := append([]byte{0xff, 0xfe}, binary.BigEndian.AppendUint16(nil, uint16(len(script)+2))...)
	comment = append(comment, script...)
	xmp := "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta><rdf:Description exif:GPSLatitude=\"48,51.5N\"/></x:xmpmeta>"
	segment := append([]byte{0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(xmp)+2))...)
	segment = append(segment, xmp...)
	var scriptGIF bytes.Buffer
	if err := gif.Encode(&scriptGIF, landscape(60, 40), nil); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"place in EXIF": withEXIF(t, jpg, []exifField{ascii(0x010f, "SecretMaker")}, nil, []exifField{
			ascii(1, "N"), rationals(2, 48, 1, 51, 1, 30, 1), ascii(3, "E"), rationals(4, 2, 1, 17, 1, 40, 1),
		}),
		"place in XMP":     append(append(bytes.Clone(jpg[:2]), segment...), jpg[2:]...),
		"page behind JPEG": append(bytes.Clone(jpg), script...),
		"page in comment":  append(append(bytes.Clone(jpg[:2]), comment...), jpg[2:]...),
		"script in GIF":    append(scriptGIF.Bytes(), "*/=1;"+script...),
	} {
		img := ingest(t, store, file)
		if !bytes.Equal(readStored(t, store, img.ID), file) {
			t.Errorf("%s: the original was changed", name)
		}
		for _, width := range page.Widths() {
			out, err := pictures.Derive(t.Context(), store, img.ID, width)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, trace := range []string{"Exif", "SecretMaker", "GPS", "xmpmeta", "<script", "<html", "alert"} {
				if bytes.Contains(out, []byte(trace)) {
					t.Errorf("%s at %d: the derivative contains %q", name, width, trace)
				}
			}
			// Not only absent by name: there is no application segment or comment at all.
			for _, marker := range segments(t, out) {
				if marker >= 0xe0 && marker <= 0xef || marker == 0xfe {
					t.Errorf("%s at %d: the derivative has a segment %#x", name, width, marker)
				}
			}
			tags := 0
			_, err = imagemeta.Decode(imagemeta.Options{
				R: bytes.NewReader(out), ImageFormat: imagemeta.JPEG,
				HandleTag: func(imagemeta.TagInfo) error { tags++; return nil },
			})
			if err != nil || tags != 0 {
				t.Errorf("%s at %d: %d tags (%v)", name, width, tags, err)
			}
		}
	}
}

// segments lists the markers of a JPEG up to its pixels.
func segments(t *testing.T, jpg []byte) (markers []byte) {
	t.Helper()
	for at := 2; at+4 <= len(jpg); {
		if jpg[at] != 0xff {
			t.Fatalf("no marker at %d", at)
		}
		markers = append(markers, jpg[at+1])
		if jpg[at+1] == 0xda {
			return markers
		}
		at += 2 + int(binary.BigEndian.Uint16(jpg[at+2:]))
	}
	t.Fatal("no pixels")
	return nil
}

// Text from EXIF is shown on pages: it must be short and printable, and numbers must be such as a camera can have.
func TestCameraDataIsTamed(t *testing.T) {
	t.Parallel()
	img := ingest(t, openDir(t), withEXIF(t, jpegOf(t, landscape(60, 40)),
		[]exifField{ascii(0x0110, "A\r\nSet-Cookie: x\u202e"+strings.Repeat("é", 400)), short(0x0112, 99)},
		[]exifField{rationals(0x829a, 1, 0), rationals(0x829d, 4_000_000_000, 1), ascii(0x9003, "0000:00:00 00:00:00"),
			rationals(0x920a, 0, 0)},
		nil))
	c := img.Camera
	if strings.ContainsAny(c.Model, "\r\n\u202e") || len(c.Model) > 100 {
		t.Errorf("model %q", c.Model)
	}
	if c.Exposure != "" || c.Aperture != 0 || c.FocalMM != 0 || c.HasTaken {
		t.Errorf("impossible values were kept: %+v", c)
	}
	if img.Width != 60 || img.Height != 40 {
		t.Errorf("orientation 99 changed the size: %d x %d", img.Width, img.Height)
	}
}

func FuzzIngest(f *testing.F) {
	jpg := jpegOf(f, landscape(24, 16))
	f.Add(jpg)
	f.Add(jpg[:len(jpg)/2])
	f.Add(greyPNG(f, 24, 16))
	f.Add(withEXIF(f, jpg, []exifField{ascii(0x0110, "X"), short(0x0112, 6)}, []exifField{rationals(0x829a, 1, 250)},
		nil))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff," +
		"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"))
	f.Add([]byte("RIFF\x24\x00\x00\x00WEBPVP8 " +
		"\x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x01\x00\x01\x00\x02\x00" +
		"\x34\x25\xa4\x00\x03\x70\x00\xfe\xfb\xfd\x50\x00"))
	store := openDir(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		img, err := pictures.Ingest(t.Context(), store, bytes.NewReader(file),
			pictures.Limits{Bytes: 1 << 20, Pixels: 1_000_000})
		if err != nil {
			var refused *pictures.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		// What was taken can be shown.
		out, err := pictures.Derive(t.Context(), store, img.ID, 320)
		if err != nil {
			t.Fatalf("taken, but: %v", err)
		}
		if img.Width < 1 || img.Height < 1 || !bytes.HasPrefix(out, []byte("\xff\xd8\xff")) {
			t.Fatalf("%+v", img)
		}
		if err := store.Delete(t.Context(), img.ID); err != nil {
			t.Fatal(err)
		}
	})
}

package pictures_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"image/gif"
	"image/png"
	"io/fs"
	"strings"
	"testing"

	"flickrkillr/renderer/pictures"
)

// TestInspect says of a file what Ingest does, except its blur, and stores nothing.
func TestInspect(t *testing.T) {
	t.Parallel()
	data := withEXIF(t, jpegOf(t, landscape(300, 200)), []exifField{ascii(0x0110, "X-T5"), short(0x0112, 6)},
		[]exifField{ascii(0x9003, "2024:10:06 17:42:11")}, nil)
	data = append(append(bytes.Clone(data[:2]), titled("Lake at dawn")...), data[2:]...)
	got, err := pictures.Inspect(t.Context(), data, pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Title != "Lake at dawn" || got.Camera.Model != "X-T5" || !got.Camera.HasTaken {
		t.Errorf("title %q, camera %+v", got.Title, got.Camera)
	}
	if got.Color != pictures.Undecoded {
		t.Errorf("blur %x before anything was decoded", got.Color)
	}
	want, err := pictures.Ingest(t.Context(), openDir(t), bytes.NewReader(data), pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want.SHA256 = sha256.Sum256(data)
	if got.Color = want.Color; got != want {
		t.Errorf("Inspect says %+v, Ingest %+v", got, want)
	}
}

// titled is a segment of a JPEG with a title, as picture programs write it (IPTC 2:05).
func titled(title string) []byte {
	record := append([]byte{0x1c, 2, 5, 0, byte(len(title))}, title...)
	block := append([]byte("8BIM\x04\x04\x00\x00\x00\x00\x00"), byte(len(record)))
	block = append(append([]byte("Photoshop 3.0\x00"), block...), record...)
	if len(record)%2 == 1 {
		block = append(block, 0)
	}
	return append([]byte{0xff, 0xed, 0, byte(len(block) + 2)}, block...)
}

// TestInspectMissesTheEnd: a file that is cut off anywhere is refused, though its header is good; so is one whose EXIF
// data has a whole thumbnail. What follows the end does not matter.
func TestInspectMissesTheEnd(t *testing.T) {
	t.Parallel()
	var pngFile, gifFile bytes.Buffer
	if err := errors.Join(png.Encode(&pngFile, landscape(600, 400)),
		gif.Encode(&gifFile, landscape(600, 400), nil)); err != nil {
		t.Fatal(err)
	}
	jpg := jpegOf(t, landscape(600, 400))
	thumbnail := jpegOf(t, landscape(16, 16))
	withThumbnail := append([]byte{0xff, 0xe1, byte((len(thumbnail) + 2) >> 8), byte(len(thumbnail) + 2)},
		thumbnail...)
	withThumbnail = append(append(bytes.Clone(jpg[:2]), withThumbnail...), jpg[2:]...)
	webp := []byte("RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x01\x00\x01\x00\x02\x00" +
		"\x34\x25\xa4\x00\x03\x70\x00\xfe\xfb\xfd\x50\x00")
	for name, file := range map[string][]byte{
		"jpeg": jpg, "png": pngFile.Bytes(), "gif": gifFile.Bytes(), "webp": webp, "jpeg with thumbnail": withThumbnail,
	} {
		for _, whole := range [][]byte{file, append(bytes.Clone(file), "<html>*/=1"...)} {
			if _, err := pictures.Inspect(t.Context(), whole, pictures.Limits{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, length := range []int{len(file) - 1, len(file) - 2, len(file) * 9 / 10, len(file) / 2, len(file) / 10} {
			_, err := pictures.Inspect(t.Context(), file[:length], pictures.Limits{})
			var refused *pictures.RefusedError
			if !errors.As(err, &refused) || refused.Reason != pictures.Damaged &&
				refused.Reason != pictures.UnknownFormat {
				t.Errorf("%s, %d of %d bytes: %v", name, length, len(file), err)
			}
		}
	}
}

// TestDevelop makes of a stored original what Ingest makes of a file, the small derivatives first.
func TestDevelop(t *testing.T) {
	t.Parallel()
	store, other := openDir(t), openDir(t)
	data := withEXIF(t, jpegOf(t, landscape(1500, 900)), []exifField{short(0x0112, 6)}, nil, []exifField{
		ascii(1, "N"), rationals(2, 48, 1, 51, 1, 30, 1)})
	want, err := pictures.Ingest(t.Context(), other, bytes.NewReader(data), pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), want.ID, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	stored := func(width int) bool {
		ok, err := pictures.IsStored(t.Context(), store, pictures.DerivativeName(want.ID, width))
		if err != nil {
			t.Error(err)
		}
		return ok
	}
	early := ""
	got, err := pictures.Develop(t.Context(), store, want.ID, func() {
		for _, width := range []int{320, 640, 1280} {
			if stored(width) {
				early += "+"
			}
		}
	})
	if err != nil || got != want {
		t.Errorf("Develop says %+v (%v), Ingest %+v", got, err, want)
	}
	if early != "++" {
		t.Errorf("%q were stored when the small ones were, want two", early)
	}
	for _, width := range []int{320, 640, 1280} {
		a, err := pictures.Stored(t.Context(), store, want.ID, width)
		b, otherErr := pictures.Stored(t.Context(), other, want.ID, width)
		if err != nil || otherErr != nil || !bytes.Equal(a, b) {
			t.Errorf("at %d: not what Ingest makes (%v, %v)", width, err, otherErr)
		}
	}
	if _, err := pictures.Develop(t.Context(), store, pictures.ID(nil), func() {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an original that is not there: %v", err)
	}
}

// TestDevelopRefuses a file whose header and end are good, and what is between is not.
func TestDevelopRefuses(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	data := spoiled(t)
	if _, err := pictures.Inspect(t.Context(), data, pictures.Limits{}); err != nil {
		t.Fatal("its header was to be good:", err)
	}
	id := pictures.ID(data)
	if err := store.Put(t.Context(), id, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	_, err := pictures.Develop(t.Context(), store, id, func() { t.Error("derivatives of nothing") })
	var refused *pictures.RefusedError
	if !errors.As(err, &refused) || refused.Reason != pictures.Damaged ||
		!strings.Contains(refused.Problem, "damaged") {
		t.Errorf("Develop = %v", err)
	}
}

// spoiled is a PNG whose pixels are not what they say they are.
func spoiled(t testing.TB) []byte {
	t.Helper()
	data := greyPNG(t, 64, 64)
	at := bytes.Index(data, []byte("IDAT"))
	data[at+6] ^= 0xff
	return data
}

// TestInspectBoundsScans: each scan of a JPEG costs the decoder a visit of the whole picture.
func TestInspectBoundsScans(t *testing.T) {
	t.Parallel()
	data := jpegOf(t, landscape(300, 200))
	for scans, refused := range map[int]bool{100: false, 1000: true} {
		more := append(bytes.Clone(data), strings.Repeat("\xff\xda\x00\x00\xff\xd9", scans)...)
		_, err := pictures.Inspect(t.Context(), more, pictures.Limits{})
		if no, ok := errors.AsType[*pictures.RefusedError](err); ok != refused || ok && no.Reason != pictures.Damaged {
			t.Errorf("%d scans more: %v", scans, err)
		}
	}
}

package pictures_test

import (
	"bytes"
	"context"
	"errors"
	"image/gif"
	"image/png"
	"math"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/pictures"
)

func TestIngestLearnsWhatIsToBeKnown(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	file := withEXIF(t, jpegOf(t, landscape(300, 200)),
		[]exifField{ascii(0x010f, "FUJIFILM"), ascii(0x0110, "X-T5"), short(0x0112, 6)},
		[]exifField{
			rationals(0x829a, 10, 2500), rationals(0x829d, 56, 10), short(0x8827, 400),
			ascii(0x9003, "2024:10:06 17:42:11"), ascii(0x9011, "+02:00"), rationals(0x920a, 230, 10),
			ascii(0xa434, "XF23mmF1.4 R LM WR"),
		},
		[]exifField{ascii(0x0001, "N"), rationals(0x0002, 48, 1, 51, 1, 30, 1)})
	got, err := pictures.Ingest(t.Context(), store, bytes.NewReader(file), pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Width != 200 || got.Height != 300 {
		t.Errorf("size %d x %d, want 200 x 300: orientation 6 stands the picture up", got.Width, got.Height)
	}
	if got.ID != pictures.ID(file) || !pictures.ValidID(got.ID) || got.Bytes != int64(len(file)) ||
		got.Format != "jpeg" {
		t.Errorf("identity: %+v", got)
	}
	c := got.Camera
	if c.Model != "FUJIFILM X-T5" || c.Lens != "XF23mmF1.4 R LM WR" || c.Exposure != "1/250" || c.ISO != 400 ||
		math.Abs(c.Aperture-5.6) > 1e-6 || math.Abs(c.FocalMM-23) > 1e-6 {
		t.Errorf("camera: %+v", c)
	}
	if want := time.Date(2024, 10, 6, 15, 42, 11, 0, time.UTC); !c.TakenAt.Equal(want) || !c.HasTaken {
		t.Errorf("taken at %v, want %v", c.TakenAt, want)
	}
	if !bytes.Equal(readStored(t, store, got.ID), file) {
		t.Error("the original is not kept byte for byte")
	}
}

func TestIngestTakesTheFourFormats(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	var pngFile, gifFile bytes.Buffer
	if err := png.Encode(&pngFile, landscape(60, 40)); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&gifFile, landscape(60, 40), nil); err != nil {
		t.Fatal(err)
	}
	// The smallest lossy WebP: 1 x 1.
	webpFile := "RIFF\x24\x00\x00\x00WEBPVP8 " +
		"\x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x01\x00\x01\x00\x02\x00" +
		"\x34\x25\xa4\x00\x03\x70\x00\xfe\xfb\xfd\x50\x00"
	for want, file := range map[string][]byte{
		"jpeg": jpegOf(t, landscape(60, 40)), "png": pngFile.Bytes(), "gif": gifFile.Bytes(), "webp": []byte(webpFile),
	} {
		got, err := pictures.Ingest(t.Context(), store, bytes.NewReader(file), pictures.Limits{})
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if got.Format != want {
			t.Errorf("format %q, want %q", got.Format, want)
		}
		if out, err := pictures.Derive(t.Context(), store, got.ID, 320); err != nil ||
			!bytes.HasPrefix(out, []byte("\xff\xd8")) {
			t.Errorf("%s: derive: %v", want, err)
		}
	}
}

func TestIngestStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pictures.Ingest(ctx, openDir(t), bytes.NewReader(jpegOf(t, landscape(60, 40))), pictures.Limits{})
	var refused *pictures.RefusedError
	if !errors.Is(err, context.Canceled) || errors.As(err, &refused) {
		t.Errorf("Ingest = %v, want context.Canceled and no refusal", err)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	jpg := jpegOf(t, landscape(300, 200))
	svg := `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`
	for name, c := range map[string]struct {
		file   []byte
		limits pictures.Limits
		want   pictures.Reason
		says   string
	}{
		"empty":       {nil, pictures.Limits{}, pictures.Empty, "Send it again"},
		"too long":    {jpg, pictures.Limits{Bytes: int64(len(jpg)) - 1}, pictures.TooManyBytes, "lower quality"},
		"too large":   {jpg, pictures.Limits{Pixels: 59_999}, pictures.TooManyPixels, "300 x 200"},
		"too narrow":  {greyPNG(t, 4000, 2), pictures.Limits{}, pictures.TooNarrow, "Crop"},
		"truncated":   {jpg[:len(jpg)/2], pictures.Limits{}, pictures.Damaged, "again"},
		"header only": {jpg[:20], pictures.Limits{}, pictures.Damaged, "again"},
		"0 x N":       {greyPNG(t, 0, 50), pictures.Limits{}, pictures.Damaged, ""},
		"N x 0":       {greyPNG(t, 50, 0), pictures.Limits{}, pictures.Damaged, ""},
		"svg":         {[]byte(svg), pictures.Limits{}, pictures.UnknownFormat, "SVG"},
		"html": {[]byte("<!DOCTYPE html><script>alert(1)</script>"), pictures.Limits{},
			pictures.UnknownFormat, "web page"},
		"heic": {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), pictures.Limits{},
			pictures.UnknownFormat, "HEIC is not enabled at this site. Save it as JPEG"},
		"heic, header only": {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), pictures.Limits{HEIC: true},
			pictures.NoPixels, "again"},
		"gif and js": {[]byte("GIF89a/*\x00\x04\x01\x00\x00*/=1;alert(1)//"), pictures.Limits{}, pictures.Damaged,
			""},
		"huge gif": {[]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00"),
			pictures.Limits{}, pictures.TooManyPixels, "65535 x 65535"},
		"random":        {bytes.Repeat([]byte("\x13\x37"), 4000), pictures.Limits{}, pictures.UnknownFormat, "JPEG"},
		"only a prefix": {[]byte("\xff\xd8\xff"), pictures.Limits{}, pictures.Damaged, ""},
	} {
		_, err := pictures.Ingest(t.Context(), store, bytes.NewReader(c.file), c.limits)
		var refused *pictures.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v, want a RefusedError", name, err)
			continue
		}
		if refused.Reason != c.want || !strings.Contains(refused.Error(), c.says) || refused.Problem == "" ||
			refused.Remedy == "" {
			t.Errorf("%s: %q: %v; want %q, saying %q", name, refused.Reason, refused, c.want, c.says)
		}
	}
}

func abs(v int) int { return max(v, -v) }

package pictures_test

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"flickrkillr/renderer/pictures"
)

// heicOf is a HEIC file of 120 x 80 pixels, whose left upper quarter is red, the right upper one green, and the left
// lower one blue. Its EXIF data name a camera, and an orientation, which does not count in such files. It is turned to
// the left by so many quarters.
func heicOf(t *testing.T, quarters byte) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("heif", "testdata", "turned.heic"))
	if err != nil {
		t.Fatal(err)
	}
	if quarters == 0 {
		return data
	}
	depth := []byte("\x00\x00\x00\x10pixi\x00\x00\x00\x00\x03\x08\x08\x08") // which the decoder does not need
	turned := append([]byte("\x00\x00\x00\x10irot"), quarters, 0, 0, 0, 0, 0, 0, 0)
	if bytes.Count(data, depth) != 1 {
		t.Fatal("the file has no place for a rotation")
	}
	return bytes.Replace(data, depth, turned, 1)
}

// TestHEIC: a HEIC picture has the size, the camera and the derivatives that other kinds have, turned as it says.
func TestHEIC(t *testing.T) {
	t.Parallel()
	const red, green, blue = 'r', 'g', 'b'
	for name, c := range map[string]struct {
		quarters byte
		size     image.Point
		corner   byte // colour of the left upper one
	}{
		"upright": {0, image.Pt(120, 80), red}, "a quarter": {1, image.Pt(80, 120), green},
		"three quarters": {3, image.Pt(80, 120), blue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, dir := heicOf(t, c.quarters), openDir(t)
			limits := pictures.Limits{HEIC: true}
			before, err := pictures.Inspect(t.Context(), data, limits)
			if err != nil {
				t.Fatal(err)
			}
			im, err := pictures.Ingest(t.Context(), dir, bytes.NewReader(data), limits)
			if err != nil {
				t.Fatal(err)
			}
			for _, im := range []pictures.Image{before, im} {
				if im.Format != "heic" || image.Pt(im.Width, im.Height) != c.size || im.Camera.Model != "HeicCam 7" {
					t.Errorf("it is %+v", im)
				}
			}
			small, err := pictures.Derive(t.Context(), dir, im.ID, 320)
			if err != nil {
				t.Fatal(err)
			}
			img, err := jpeg.Decode(bytes.NewReader(small))
			if err != nil || img.Bounds().Size() != c.size {
				t.Fatalf("the derivative: %v", err)
			}
			r, g, b, _ := img.At(15, 15).RGBA()
			corner := byte(red)
			if g > r && g > b {
				corner = green
			} else if b > r && b > g {
				corner = blue
			}
			if corner != c.corner {
				t.Errorf("the left upper corner is %c", corner)
			}
			original, err := pictures.OpenOriginal(t.Context(), dir, im.ID)
			if err != nil {
				t.Fatal(err)
			}
			defer original.Close()
			if media, extension := original.Type(); media != "image/heic" || extension != ".heic" {
				t.Errorf("its type is %s, %s", media, extension)
			}
			if _, err := pictures.Share(data); !errors.Is(err, pictures.ErrNotShared) {
				t.Errorf("the form for others: %v", err)
			}
		})
	}
}

// TestHEICCutOff: a HEIC file without its end is refused before it is stored.
func TestHEICCutOff(t *testing.T) {
	t.Parallel()
	whole := heicOf(t, 0)
	for n := 16; n < len(whole); n += 7 {
		_, err := pictures.Inspect(t.Context(), whole[:n], pictures.Limits{HEIC: true})
		if _, ok := errors.AsType[*pictures.RefusedError](err); !ok {
			t.Fatalf("its first %d bytes: %v", n, err)
		}
	}
	if _, err := pictures.Inspect(t.Context(), append(whole, "and more"...), pictures.Limits{HEIC: true}); err != nil {
		t.Errorf("with something behind it: %v", err)
	}
}

// TestHEICOutside: where other processes decode, no HEIC file is decoded here, even if none of them can be started.
func TestHEICOutside(t *testing.T) {
	data := heicOf(t, 0)
	dir, id := openDir(t), pictures.ID(data)
	if err := dir.Put(t.Context(), id, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	d := &decoders{as: "well"}
	end := d.outside()
	im, err := pictures.Develop(t.Context(), dir, id, func() {})
	end()
	if err != nil || im.Width != 120 || len(d.commands) != 1 {
		t.Errorf("%d x %d, %d processes, %v", im.Width, im.Height, len(d.commands), err)
	}
	d = &decoders{as: "strange"}
	defer d.outside()()
	_, err = pictures.Develop(t.Context(), dir, id, func() {})
	if _, refused := errors.AsType[*pictures.RefusedError](err); err == nil || refused {
		t.Errorf("without a process: %v", err)
	}
}

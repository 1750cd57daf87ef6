package pictures_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

// widthsOf gives the widths in which an original is stored, by its true width in pixels; 0 where there is no file.
func widthsOf(t testing.TB, store pictures.Store, id string) []int {
	t.Helper()
	var all []int
	for _, width := range page.Widths() {
		name := pictures.DerivativeName(id, width)
		stored, err := pictures.IsStored(t.Context(), store, name)
		if err != nil {
			t.Fatal(err)
		}
		if !stored {
			all = append(all, 0)
			continue
		}
		header, err := jpeg.DecodeConfig(bytes.NewReader(readStored(t, store, name)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, header.Width)
	}
	return all
}

// forget removes the stored derivatives, as if the original had come before they were stored.
func forget(t testing.TB, store pictures.Store, id string) {
	t.Helper()
	for _, width := range page.Widths() {
		if err := store.Delete(t.Context(), pictures.DerivativeName(id, width)); err != nil {
			t.Fatal(err)
		}
	}
}

// An original is stored in every width up to its own, and in its own; beyond 1,280 px once somebody asks.
func TestIngestStoresDerivatives(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		for original, want := range map[int][]int{
			40: {40, 0, 0, 0}, 320: {320, 0, 0, 0}, 321: {320, 321, 0, 0}, 900: {320, 640, 900, 0},
			1280: {320, 640, 1280, 0},
			1600: {320, 640, 1280, 1600}, 2560: {320, 640, 1280, 2560}, 2700: {320, 640, 1280, 2560},
		} {
			store := open()
			img := ingest(t, store, jpegOf(t, landscape(original, original/20)))
			if got, want := widthsOf(t, store, img.ID), append(slices.Clone(want[:3]), 0); !slices.Equal(got, want) {
				t.Errorf("an original of %d is stored in %v, want %v", original, got, want)
			}
			for _, width := range page.Widths() {
				data, err := pictures.Derive(t.Context(), store, img.ID, width)
				if err != nil {
					t.Errorf("an original of %d at %d: %v", original, width, err)
				}
				if _, err := pictures.Stored(t.Context(), store, img.ID,
					width); (err == nil) != (page.StoredWidth(width, original) == width) {
					t.Errorf("an original of %d, stored at %d: %v", original, width, err)
				}
				header, err := jpeg.DecodeConfig(bytes.NewReader(data))
				if err != nil || header.Width != min(width, original) {
					t.Errorf("an original of %d at %d: %d wide, %v", original, width, header.Width, err)
				}
			}
			if got := widthsOf(t, store, img.ID); !slices.Equal(got, want) {
				t.Errorf("an original of %d, asked for in every width, is stored in %v, want %v", original, got, want)
			}
		}
	})
}

// What is missing is made once: the width that is asked for, and the small ones with it.
func TestDeriveKeepsWhatItMakes(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		img := ingest(t, store, jpegOf(t, landscape(1500, 60)))
		forget(t, store, img.ID)
		if _, err := pictures.Stored(t.Context(), store, img.ID, 1280); !errors.Is(err, pictures.ErrNotStored) {
			t.Fatalf("Stored = %v, want ErrNotStored", err)
		}
		made, err := pictures.Derive(t.Context(), store, img.ID, 1280)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := widthsOf(t, store, img.ID), []int{320, 640, 1280, 0}; !slices.Equal(got, want) {
			t.Errorf("stored in %v, want %v", got, want)
		}
		kept, err := pictures.Stored(t.Context(), store, img.ID, 1280)
		if err != nil || !bytes.Equal(kept, made) {
			t.Errorf("%d bytes are stored, %d were made; %v", len(kept), len(made), err)
		}
		// What is stored is not made again: neither the original nor the other widths are looked at.
		stamp := []byte("\xff\xd8 stored")
		if err := store.Put(t.Context(), pictures.DerivativeName(img.ID, 640), bytes.NewReader(stamp)); err != nil {
			t.Fatal(err)
		}
		if _, err := pictures.Derive(t.Context(), store, img.ID, 2560); err != nil {
			t.Fatal(err)
		}
		if got, err := pictures.Derive(t.Context(), store, img.ID, 640); err != nil || !bytes.Equal(got, stamp) {
			t.Errorf("%d bytes, %v; want what is stored", len(got), err)
		}
	})
}

// A process that ends between writing and renaming leaves a temporary file, which nobody is served.
func TestHalfADerivativeIsNotServed(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	store := openAt(t, path)
	img := ingest(t, store, jpegOf(t, landscape(700, 500)))
	whole, err := pictures.Stored(t.Context(), store, img.ID, 640)
	if err != nil {
		t.Fatal(err)
	}
	forget(t, store, img.ID)
	half := filepath.Join(path, "tmp", pictures.DerivativeName(img.ID, 640)+".ABCDEF")
	if err := os.WriteFile(half, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if _, err := pictures.Stored(t.Context(), again, img.ID, 640); !errors.Is(err, pictures.ErrNotStored) {
		t.Errorf("Stored = %v, want ErrNotStored", err)
	}
	if got, err := pictures.Derive(t.Context(), again, img.ID, 640); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes, %v; want the whole picture of %d", len(got), err, len(whole))
	}
}

// fullStore has no room for anything more.
type fullStore struct{ pictures.Store }

var errFull = errors.New("no space left")

func (fullStore) Put(context.Context, string, io.Reader) error { return errFull }

// Without room to keep a derivative, visitors see the picture all the same.
func TestDeriveWithoutRoom(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		img := ingest(t, store, jpegOf(t, landscape(700, 500)))
		forget(t, store, img.ID)
		got, err := pictures.Derive(t.Context(), fullStore{store}, img.ID, 640)
		if !errors.Is(err, pictures.ErrNotKept) || !errors.Is(err, errFull) {
			t.Errorf("Derive = %v, want ErrNotKept and the store's error", err)
		}
		if header, err := jpeg.DecodeConfig(bytes.NewReader(got)); err != nil || header.Width != 640 {
			t.Errorf("%d wide, %v", header.Width, err)
		}
	})
}

// Noise is what JPEG makes most bytes of.
func TestDerivativesFitTheBus(t *testing.T) {
	t.Parallel()
	noise := image.NewRGBA(image.Rect(0, 0, 2560, 1700))
	chance := rand.NewChaCha8([32]byte{})
	for i := range noise.Pix {
		noise.Pix[i] = byte(chance.Uint64())
	}
	store := openDir(t)
	img := ingest(t, store, jpegOf(t, noise))
	for _, width := range page.Widths() {
		data, err := pictures.Derive(t.Context(), store, img.ID, width)
		if err != nil || len(data) > pictures.MaxBytes {
			t.Errorf("at %d: %d bytes, %v; want at most %d", width, len(data), err, pictures.MaxBytes)
		}
		if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
			t.Errorf("at %d: %v", width, err)
		}
	}
}

func TestDeleteRemovesDerivatives(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		img := ingest(t, store, jpegOf(t, landscape(700, 500)))
		if err := store.Delete(t.Context(), img.ID); err != nil {
			t.Fatal(err)
		}
		if left := listed(t, store, ""); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestStoreRefusesOtherNames(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		id := pictures.ID([]byte("x"))
		for _, name := range []string{id + ".", id + ".jpg", id + ".641.jpg", id + ".0640.jpg", id + ".640.png", id +
			".640.jpg.", "../" + id + ".640.jpg", id + "/../x.640.jpg"} {
			if err := store.Put(t.Context(), name, strings.NewReader("x")); !errors.Is(err, pictures.ErrBadID) {
				t.Errorf("Put(%q) = %v, want ErrBadID", name, err)
			}
			if _, err := store.Open(t.Context(), name); !errors.Is(err, pictures.ErrBadID) {
				t.Errorf("Open(%q) = %v, want ErrBadID", name, err)
			}
			if err := store.Delete(t.Context(), name); !errors.Is(err, pictures.ErrBadID) {
				t.Errorf("Delete(%q) = %v, want ErrBadID", name, err)
			}
		}
	})
}

// The store is its owner's alone, also one that was made with other modes.
func TestModes(t *testing.T) {
	t.Parallel()
	modes := func(path string) {
		t.Helper()
		err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if e.IsDir() {
				want = 0o700
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "pictures")
	img := ingest(t, openAt(t, path), jpegOf(t, landscape(700, 500)))
	modes(path)
	for name, mode := range map[string]fs.FileMode{
		".": 0o755, "tmp": 0o755, img.ID[:2]: 0o775, filepath.Join(img.ID[:2], img.ID): 0o644,
		filepath.Join(img.ID[:2], pictures.DerivativeName(img.ID, 320)): 0o666,
	} {
		if err := os.Chmod(filepath.Join(path, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	openAt(t, path)
	modes(path)
}

// A draft is shown at every width until the original is stored, and goes with it.
func TestDraft(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		original := jpegOf(t, landscape(900, 600))
		id := pictures.ID([]byte("a picture"))
		if err := pictures.KeepDraft(t.Context(), store, id, landscape(100, 60)); err != nil {
			t.Fatal(err)
		}
		for _, width := range page.Widths() {
			for name, get := range map[string]func(context.Context, pictures.Store, string, int) ([]byte, error){
				"Stored": pictures.Stored, "Derive": pictures.Derive,
			} {
				data, err := get(t.Context(), store, id, width)
				header, _ := jpeg.DecodeConfig(bytes.NewReader(data))
				if !errors.Is(err, pictures.ErrDraft) || header.Width != 100 {
					t.Errorf("%s at %d: %d wide, %v, want 100 and ErrDraft", name, width, header.Width, err)
				}
			}
		}
		_, err := pictures.IngestAs(t.Context(), store, id, bytes.NewReader(original), pictures.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, width := range page.Widths() {
			if _, err := pictures.Derive(t.Context(), store, id, width); err != nil {
				t.Errorf("with an original, %d: %v", width, err)
			}
		}
		if err := store.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if left := listed(t, store, ""); len(left) != 0 {
			t.Errorf("left after Delete: %v", left)
		}
		_, err = pictures.IngestAs(t.Context(), store, "../x", bytes.NewReader(original), pictures.Limits{})
		if !errors.Is(err, pictures.ErrBadID) {
			t.Errorf("a bad id: %v", err)
		}
	})
}

// vanishing is a store whose originals can be opened a number of times and are then gone.
type vanishing struct {
	pictures.Store
	left int
}

func (s *vanishing) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if pictures.ValidID(name) {
		if s.left--; s.left < 0 {
			return nil, fs.ErrNotExist
		}
	}
	return s.Store.Open(ctx, name)
}

// An original that is deleted while a derivative is made never gives an answer without bytes.
func TestOriginalVanishes(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		img := ingest(t, store, jpegOf(t, landscape(900, 600)))
		if err := pictures.KeepDraft(t.Context(), store, img.ID, landscape(100, 60)); err != nil {
			t.Fatal(err)
		}
		for opens := range 6 {
			forget(t, store, img.ID)
			data, err := pictures.Derive(t.Context(), &vanishing{store, opens}, img.ID, 2560)
			if known := err == nil || errors.Is(err, pictures.ErrDraft); known != (len(data) > 0) {
				t.Errorf("gone after %d: %d bytes, %v", opens, len(data), err)
			}
		}
	})
}

// broken is a store that cannot be read.
type broken struct{ pictures.Store }

var errBroken = errors.New("too many open files")

func (broken) Open(context.Context, string) (io.ReadCloser, error) { return nil, errBroken }

// A store in trouble is not one without the picture.
func TestBrokenStore(t *testing.T) {
	t.Parallel()
	for _, width := range page.Widths() {
		_, err := pictures.Stored(t.Context(), broken{}, pictures.ID(nil), width)
		if !errors.Is(err, errBroken) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: %v", width, err)
		}
	}
}

// deletedMeanwhile is a store whose original is deleted before a derivative of some width is put.
type deletedMeanwhile struct {
	pictures.Store
	id    string
	width int
}

func (d deletedMeanwhile) Put(ctx context.Context, name string, r io.Reader) error {
	if name == pictures.DerivativeName(d.id, d.width) {
		if err := d.Delete(ctx, d.id); err != nil {
			return err
		}
	}
	return d.Store.Put(ctx, name, r)
}

// A picture that is deleted while a derivative is made does not come back.
func TestDeriveOfADeletedOriginal(t *testing.T) {
	t.Parallel()
	inPlaces(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		for _, width := range []int{320, 640} { // the one that is asked for, and one that is made with it
			img := ingest(t, store, jpegOf(t, landscape(700, 500)))
			forget(t, store, img.ID)
			meanwhile := deletedMeanwhile{store, img.ID, width}
			got, err := pictures.Derive(t.Context(), meanwhile, img.ID, 320)
			if !errors.Is(err, fs.ErrNotExist) || got != nil {
				t.Errorf("deleted before %d was stored: %d bytes, %v", width, len(got), err)
			}
			if left := widthsOf(t, store, img.ID); slices.Max(left) > 0 {
				t.Errorf("deleted before %d was stored: %v are left", width, left)
			}
		}
	})
}

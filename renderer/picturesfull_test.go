package renderer

import (
	"bytes"
	"errors"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

// TestFullDiskOfThePictures: while the disk of the picture store is full, stored pictures are shown, those that are
// missing are made for each request, and a new one is refused whole. When there is room again they are stored.
func TestFullDiskOfThePictures(t *testing.T) {
	t.Parallel()
	disk := testenv.NewDisk(t, 1024)
	dir, err := pictures.OpenDir(disk.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	im, err := pictures.Ingest(t.Context(), dir, bytes.NewReader(landscape(t, 900, 600)), pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	st := newSite(t)
	st.pictures = dir
	st.start(t, nil)
	photo := st.post(t, im)
	missing := filepath.Join(disk.Dir, im.ID[:2], pictures.DerivativeName(im.ID, 320))
	found, err := filepath.Glob(missing + "*")
	if err != nil || len(found) != 1 {
		t.Fatalf("the file of 320 px: %q, %v", found, err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	shown := func(when string) {
		t.Helper()
		for width, want := range map[int]int{320: 320, 640: 640} {
			reply := st.get(t, st.picture(t, photo, width))
			img, err := jpeg.Decode(bytes.NewReader(reply.Body))
			if reply.Status != 200 || err != nil || img.Bounds().Dx() != want {
				t.Errorf("%s, %d px: status %d, %v", when, width, reply.Status, err)
			}
		}
	}
	files := func() (all []string) {
		t.Helper()
		err := filepath.WalkDir(disk.Dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasSuffix(path, "filler") {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}

	disk.Fill(t)
	before := len(files())
	shown("full")
	_, err = pictures.Ingest(t.Context(), dir, bytes.NewReader(landscape(t, 901, 600)), pictures.Limits{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a new picture on a full disk: %v", err)
	}
	if after := files(); len(after) != before {
		t.Errorf("%d files were left by what found no room: %q", len(after)-before, after)
	}
	disk.Free(t)
	shown("with room again")
	if _, err := os.Stat(found[0]); err != nil {
		t.Errorf("a picture that was made is not stored: %v", err)
	}
}

package photoimport_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flickrkillr/ops/photoimport"
)

const oneTakeout = `{"format": "flickrkillr-takeout-1", "albums": [{"id": "1", "title": "%[1]s", "cover": "7",
	"photos": ["7"]}], "photos": [{"id": "7", "title": "%[1]s", "file": "photos/%[1]s.jpg"}]}`

// TestArchivesApart: photos of two archives that have the same id stay apart.
func TestArchivesApart(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, name := range []string{"one", "two"} {
		paths = append(paths, pack(t, t.TempDir(), name+".zip", map[string]string{
			"photos.json": fmt.Sprintf(oneTakeout, name), "photos/" + name + ".jpg": name}))
	}
	p, err := photoimport.Read(paths)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(p.Photos) != 2 || len(p.Albums) != 2 {
		t.Fatalf("%d photos, %d albums", len(p.Photos), len(p.Albums))
	}
	for i, a := range p.Albums {
		if a.Title != p.Photos[i].Title || len(a.Photos) != 1 || a.Photos[0] != p.Photos[i].Ref ||
			a.Cover != a.Photos[0] {
			t.Errorf("album %q has %v, cover %q; photo %q is %q", a.Title, a.Photos, a.Cover, p.Photos[i].Title,
				p.Photos[i].Ref)
		}
	}
	if p.Photos[0].Ref == p.Photos[1].Ref {
		t.Errorf("both photos are %q", p.Photos[0].Ref)
	}
}

// bomb packs a file of zeros, which a thousandth of its length is enough for.
func bomb(t *testing.T, name string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bomb.zip")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	part, err := w.Create(name)
	if err == nil {
		_, err = io.CopyN(part, zeros{}, size)
	}
	if err = errors.Join(err, w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBombs: what would unpack to more than memory has is refused by the length that the zip file says, and a file is
// unpacked no further than that.
func TestBombs(t *testing.T) {
	t.Parallel()
	if _, err := photoimport.Read([]string{bomb(t, "photos.json", 256<<20+1)}); err == nil ||
		!strings.Contains(err.Error(), "photos.json has 268435457 bytes unpacked") {
		t.Errorf("a photos.json of 256 MiB: %v", err)
	}
	p, err := photoimport.Read([]string{bomb(t, "photo_1234567.json", 8<<20+1)})
	if err != nil || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Err.Error(), "bytes unpacked") {
		t.Errorf("data of a photo of 8 MiB: %v", err)
	} else if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamagedZip: a stored file whose bytes have changed is not imported, nor one that is longer than the zip file
// says.
func TestDamagedZip(t *testing.T) {
	t.Parallel()
	const picture = "the picture, as it was"
	for name, c := range map[string]struct {
		method uint16
		damage func(data []byte) []byte
	}{
		"stored": {zip.Store, func(data []byte) []byte {
			return bytes.Replace(data, []byte(picture), []byte("the picture, as it WAS"), 1)
		}},
		"longer than it says": {zip.Deflate, func(data []byte) []byte {
			at := bytes.LastIndex(data, []byte("PK\x01\x02")) // its entry in the directory
			data[at+24] = 5                                   // the length
			return data
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			for _, one := range [][2]string{{"photos.json", fmt.Sprintf(oneTakeout, "x")}, {"photos/x.jpg", picture}} {
				part, err := w.CreateHeader(&zip.FileHeader{Name: one[0], Method: c.method})
				if err == nil {
					_, err = io.WriteString(part, one[1])
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "x.zip")
			if err := os.WriteFile(path, c.damage(b.Bytes()), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := photoimport.Read([]string{path})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if len(p.Photos) != 1 {
				t.Fatalf("%d photos, %v", len(p.Photos), p.Problems)
			}
			if file, err := p.Photos[0].Open(); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("it is opened: %v, %v", file, err)
			}
		})
	}
}

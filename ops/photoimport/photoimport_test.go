package photoimport_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flickrkillr/ops/photoimport"
)

// write writes files into a folder, and returns it.
func write(t *testing.T, contents map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range contents {
		path := filepath.Join(folder, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// pack writes files into a zip file, compressed, and returns its path.
func pack(t *testing.T, folder, name string, contents map[string]string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	for name, content := range contents {
		part, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(part, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// flickr is an export of Flickr with data and pictures.
var flickr = struct{ data, pictures map[string]string }{
	map[string]string{
		"photo_20190405.json": `{"id": "20190405", "name": "Fog &amp; <sea>", "description":
			"See <a href=\"https://a.example\/x\">the <b>map<\/b><\/a>,\n<a href=\"https://b.example\/\">https://b.example\/</a> &lt;3",
			"date_taken": "2010-05-01 12:34:56", "date_imported": "2012-01-02 03:04:05",
			"license": "Attribution-NonCommercial-ShareAlike License", "privacy": "public",
			"tags": [{"tag": "Blue  Hour", "user": "x"}, {"tag": "a,b"}, {"tag": "blue hour"}, {"tag": "` +
			strings.Repeat("x", 70) + `"}],
			"albums": [], "geo": [], "comments": [{"id": "1", "date": "2012-02-03 04:05:06", "user": "99@N00",
			"comment": "So <b>calm<\/b>"}, {"date": "2012-02-04 04:05:06", "user": "98@N00", "comment": "` +
			strings.Repeat("long ", 1000) + `"}]}`,
		"photo_123456.json": `{"id": "123456", "name": "", "description": "", "date_taken": "0000-00-00 00:00:00",
			"date_imported": "2009-01-02 03:04:05", "license": "All Rights Reserved", "privacy": "friend & family",
			"tags": [], "comments": []}`,
		"photo_777777.json": `{"id": "777777", "name": "Lost", "privacy": "public"}`,
		"photo_888888.json": `{`,
		"albums.json": `{"albums": [{"photo_count": "2", "id": "721", "title": "Sea &amp; land",
			"description": "All of <i>it</i>", "created": "1270000000",
			"cover_photo": "https://www.flickr.com/photos/x/20190405", "photos": ["20190405", "0", "123456"]}]}`,
		"contacts_part001.json": `{}`,
	},
	map[string]string{
		"fog-20190405-x_20190405_o.jpg": "the fog", "123456_0123456789_o.jpg": "untitled",
		"img_20190405_555555_o.jpg": "nobody's",
	},
}

// TestFlickr: an export of Flickr is read, packed or unpacked, in one folder or many files.
func TestFlickr(t *testing.T) {
	t.Parallel()
	folder, packed := t.TempDir(), t.TempDir()
	both := map[string]string{}
	for _, files := range []map[string]string{flickr.data, flickr.pictures} {
		for name, content := range files {
			both["a/"+name] = content
		}
	}
	for name, paths := range map[string][]string{
		"unpacked":  {write(t, both)},
		"zip files": {pack(t, folder, "data.zip", flickr.data), pack(t, folder, "pictures.zip", flickr.pictures)},
		"folder of zip files": {func() string {
			pack(t, packed, "data.zip", flickr.data)
			pack(t, packed, "pictures.ZIP", flickr.pictures)
			return packed
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := photoimport.Read(paths)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if len(p.Photos) != 2 || len(p.Albums) != 1 || len(p.Problems) != 2 {
				t.Fatalf("%d photos, %d albums, problems %v", len(p.Photos), len(p.Albums), p.Problems)
			}
			plain, fog := p.Photos[0], p.Photos[1]
			if plain.ID != "123456" || plain.Title != "" || plain.Taken != "" || plain.Visibility != "private" ||
				plain.Licence != "reserved" {
				t.Errorf("the older photo is %+v", plain)
			}
			const description = "See the map (https://a.example/x),\nhttps://b.example/ <3\n\n" +
				"Comments on Flickr:\n2012-02-03 99@N00: So calm"
			if fog.Title != "Fog & <sea>" || fog.Description != description || fog.Taken != "2010-05-01" ||
				fog.Visibility != "public" || fog.Licence != "by-nc-sa" || len(fog.Notes) != 2 ||
				!slices.Equal(fog.Tags, []string{"blue hour", "a b"}) {
				t.Errorf("the fog is %+v", fog)
			}
			for photo, want := range map[*photoimport.Photo]string{&plain: "untitled", &fog: "the fog"} {
				file, err := photo.Open()
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(io.NewSectionReader(file, 0, photo.Size))
				if err = errors.Join(err, file.Close()); err != nil || string(got) != want {
					t.Errorf("%s has %q, %v", photo.Name, got, err)
				}
			}
			album := p.Albums[0]
			if album.Title != "Sea & land" || album.Description != "All of it" || album.Cover != "20190405" ||
				!slices.Equal(album.Photos, []string{"20190405", "0", "123456"}) {
				t.Errorf("the album is %+v", album)
			}
			problems := fmt.Sprint(p.Problems)
			if !strings.Contains(problems, "Lost") || !strings.Contains(problems, "photo_888888.json") {
				t.Errorf("problems %v", problems)
			}
		})
	}
}

// TestFlickrLicences: the names that Flickr has used.
func TestFlickrLicences(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"All Rights Reserved": "reserved", "Attribution License": "by", "Attribution-ShareAlike License": "by-sa",
		"Attribution-NoDerivs License": "by-nd", "Attribution-NonCommercial License": "by-nc",
		"Attribution-NonCommercial-ShareAlike License": "by-nc-sa",
		"Attribution-NonCommercial-NoDerivs License":   "by-nc-nd", "CC BY-NC-ND 4.0": "by-nc-nd", "CC BY 2.0": "by",
		"Public Domain Dedication (CC0)": "cc0", "Public Domain Mark": "reserved", "": "reserved",
		"No known copyright restrictions": "reserved",
	} {
		folder := write(t, map[string]string{"photo_123456.json": fmt.Sprintf(`{"license": %q}`, name),
			"123456_o.jpg": "x"})
		p, err := photoimport.Read([]string{folder})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Photos[0].Licence; got != want || p.Photos[0].ID != "123456" {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
		_ = p.Close()
	}
}

// TestTakeout: a zip file of this site is read; what is damaged or missing is named.
func TestTakeout(t *testing.T) {
	t.Parallel()
	const sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // of "x"
	folder := write(t, map[string]string{
		"sub/photos.json": `{"format": "flickrkillr-takeout-1", "name": "ansel", "albums": [
			{"id": "2", "title": "Inside", "parent": "1", "visibility": "unlisted", "photos": ["8"]},
			{"id": "1", "title": "Outside", "cover": "7", "photos": ["8", "7"]}],
			"photos": [{"id": "8", "file": "photos/b-8.jpg", "title": "B", "posted": "2026-02-01T00:00:00Z",
				"visibility": "private", "licence": "by", "download": true, "sha256": "` + sum + `", "tags": ["a"],
				"taken": "1927-04-10T23:00:00Z"},
			{"id": "7", "file": "photos/a-7.jpg", "title": "A", "posted": "2026-01-01T00:00:00Z",
				"visibility": "public", "licence": "nonsense", "sha256": "` + sum + `"},
			{"id": "9", "file": "photos/c-9.jpg", "title": "C"}, {"id": "10", "title": "D"},
			{"id": "11", "file": "../secret.jpg", "title": "E"}]}`, "secret.jpg": "x",
		"sub/photos/b-8.jpg": "x", "sub/photos/a-7.jpg": "y", "other/photos.json": "[]",
	})
	p, err := photoimport.Read([]string{folder})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(p.Photos) != 2 || len(p.Problems) != 3 || p.Photos[0].ID != "7" || p.Photos[0].Licence != "reserved" {
		t.Fatalf("%+v, problems %v", p.Photos, p.Problems)
	}
	if b := p.Photos[1]; b.Title != "B" || b.Visibility != "private" || b.Licence != "by" || !b.Download ||
		b.Taken != "1927-04-10" || !slices.Equal(b.Tags, []string{"a"}) {
		t.Errorf("it is %+v", b)
	}
	if file, err := p.Photos[1].Open(); err != nil || file.Close() != nil {
		t.Error(err)
	}
	if _, err := p.Photos[0].Open(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a file that has changed: %v", err)
	}
	if len(p.Albums) != 2 || p.Albums[0].Title != "Outside" || p.Albums[1].Parent != "Outside" ||
		p.Albums[0].Visibility != "" || p.Albums[1].Visibility != "unlisted" || p.Albums[0].Cover != p.Photos[0].Ref ||
		!slices.Equal(p.Albums[0].Photos, []string{p.Photos[1].Ref, p.Photos[0].Ref}) {
		t.Errorf("albums %+v", p.Albums)
	}
}

func TestNoExport(t *testing.T) {
	t.Parallel()
	folder := write(t, map[string]string{"a.jpg": "x", "photos.json": "{}"})
	if _, err := photoimport.Read([]string{folder}); !errors.Is(err, photoimport.ErrNoExport) {
		t.Errorf("a folder of pictures: %v", err)
	}
	if _, err := photoimport.Read([]string{filepath.Join(folder, "a.jpg")}); err == nil ||
		!strings.Contains(err.Error(), "no zip file") {
		t.Errorf("a picture: %v", err)
	}
	if _, err := photoimport.Read([]string{filepath.Join(folder, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

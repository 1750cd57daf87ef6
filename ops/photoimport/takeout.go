package photoimport

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"flickrkillr/schema/takeout"
)

// maxJSON bounds a file of JSON in bytes, unpacked: it is in memory as a whole. The photos.json of 100,000 photos has
// about 50 MB.
const maxJSON = 256 << 20

// readTakeouts reads zip files of this site. It returns false if there is none.
func (p *Plan) readTakeouts() (found bool, err error) {
	archives := 0
	at := map[[2]string]*entry{}
	for _, e := range p.files.all {
		at[[2]string{e.root, e.name}] = e
	}
	for _, e := range p.files.all {
		if e.base() != takeout.FileName {
			continue
		}
		data, err := e.read(maxJSON)
		if err != nil {
			return found, fmt.Errorf("read %s: %w", e.name, err)
		}
		var head takeout.Head
		if json.Unmarshal(data, &head) != nil || head.Format != takeout.Format {
			continue // of another program
		}
		var archive takeout.Archive
		if err := json.Unmarshal(data, &archive); err != nil {
			return found, fmt.Errorf("read %s: %w", e.name, err)
		}
		found = true
		archives++
		p.addTakeout(&archive, strconv.Itoa(archives), func(name string) *entry {
			if !fs.ValidPath(name) { // it would lead to files that the archive does not have
				return nil
			}
			return at[[2]string{e.root, path.Join(path.Dir(e.name), name)}]
		})
	}
	return found, nil
}

// addTakeout adds the photos and albums of an archive, which is called label among all that are read: ids of different
// archives may be the same.
func (p *Plan) addTakeout(archive *takeout.Archive, label string, find func(name string) *entry) {
	ref := func(id string) string {
		if id == "" {
			return ""
		}
		return label + "/" + id
	}
	for _, photo := range archive.Photos {
		one := Photo{ID: photo.ID, Ref: ref(photo.ID), Title: photo.Title, Description: photo.Description,
			Tags: photo.Tags, Visibility: photo.Visibility, Licence: photo.Licence, Download: photo.Download,
			posted: photo.Posted, sha256: photo.SHA256}
		if photo.Taken != nil {
			one.Taken = photo.Taken.UTC().Format(time.DateOnly)
		}
		if one.file = find(photo.File); photo.File == "" || one.file == nil {
			name := photo.File
			if name == "" {
				name = "photo " + photo.ID + " (" + photo.Title + ")"
			}
			p.Problems = append(p.Problems, Problem{name, errors.New("its picture is not among the files")})
			continue
		}
		one.Name, one.Size = one.file.base(), one.file.size
		p.add(&one)
	}
	titles := map[string]string{}
	for _, album := range archive.Albums {
		titles[album.ID] = album.Title
	}
	for _, inside := range []bool{false, true} {
		for _, album := range archive.Albums {
			if parent := titles[album.Parent]; (parent != "") == inside {
				for i := range album.Photos {
					album.Photos[i] = ref(album.Photos[i])
				}
				p.Albums = append(p.Albums, Album{Title: album.Title, Description: album.Description,
					Visibility: album.Visibility, Parent: parent, Cover: ref(album.Cover), Photos: album.Photos})
			}
		}
	}
}

// Package photoimport reads what people have taken out of a photo site: zip files as [takeout] describes them, and the
// export of a Flickr account, packed or unpacked.
//
// Input: folders and zip files. Output: a [Plan], which says what photos and albums there are, in words that this site
// takes. Must not touch: the network.
package photoimport

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"flickrkillr/schema/page"
)

// Plan is what is to be imported.
type Plan struct {
	Photos   []Photo // the one that was posted first in front
	Albums   []Album // those that others are in, in front of these
	Problems []Problem
	files    files
}

// Photo is a photo, with the texts that this site takes.
type Photo struct {
	ID          string // in the export
	Ref         string // names it among the photos of all exports that are read
	Name        string // of the file
	Size        int64
	Title       string
	Description string
	Tags        []string
	Taken       string // a day, such as 2026-11-30; "": unknown
	Visibility  string // public, unlisted or private
	Licence     string // one of page.Licences
	Download    bool
	// Notes say what of it this site does not take, such as "40 of its 140 tags are left out".
	Notes []string

	posted time.Time
	sha256 string // see Sum
	file   *entry
}

// Album is an album.
type Album struct {
	Title       string
	Description string
	Visibility  string   // public, unlisted or private; "": the export does not say
	Parent      string   // title of the album that it is in; "": it is in none
	Cover       string   // Ref of a photo; "": none was chosen
	Photos      []string // Refs, in their order
}

// Problem is a file that is not imported, and why.
type Problem struct {
	Name string
	Err  error
}

// ErrNoExport: the files are no export that is known.
var ErrNoExport = errors.New("there is neither the photos.json of a zip file of this site nor the account data of a " +
	"Flickr export (photo_*.json): give the zip files, or the folder with them")

// Read reads folders and zip files, which together are one export. The caller closes the plan when the photos are read.
func Read(paths []string) (*Plan, error) {
	p := &Plan{files: files{most: maxFiles}}
	for _, one := range paths {
		if err := p.files.add(one); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	p.Problems = p.files.wrong
	ours, err := p.readTakeouts()
	if err == nil && !ours {
		var flickr bool
		if flickr, err = p.readFlickr(); err == nil && !flickr {
			err = ErrNoExport
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	slices.SortStableFunc(p.Photos, func(a, b Photo) int { return a.posted.Compare(b.posted) })
	for i := range p.Albums {
		a := &p.Albums[i]
		a.Title, _ = shorten(oneLine(a.Title), maxTitle)
		a.Parent, _ = shorten(oneLine(a.Parent), maxTitle)
		a.Description, _ = shorten(prose(a.Description), maxDescription)
		if a.Title == "" {
			a.Title = "Untitled album"
		}
	}
	return p, nil
}

// Close closes the zip files.
func (p *Plan) Close() error {
	var errs []error
	for _, z := range p.files.zips {
		errs = append(errs, z.Close())
	}
	return errors.Join(errs...)
}

// Sum is the SHA-256 of the photo's file in hex, as the export says; "": it does not. It tells photos of two archives
// apart that have the same id.
func (p *Photo) Sum() string { return p.sha256 }

// Open opens the file of a photo, which the caller closes. It fails for a file that has changed since it was exported.
func (p *Photo) Open() (File, error) {
	file, err := p.file.open()
	if err != nil || p.sha256 == "" {
		return file, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, io.NewSectionReader(file, 0, p.Size))
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != p.sha256 {
		err = errors.New("the file is damaged: it is not the one that was exported")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Bounds of what this site takes, in characters, as its forms have them.
const (
	maxTitle       = 200
	maxDescription = 5000
	maxTags        = 100
)

// add adds a photo, with texts that this site takes: so no more of them is in memory.
func (p *Plan) add(photo *Photo) {
	photo.fit()
	p.Photos = append(p.Photos, *photo)
}

// fit makes the texts of a photo such that this site takes them.
func (p *Photo) fit() {
	var cut bool
	if p.Title, cut = shorten(oneLine(p.Title), maxTitle); cut {
		p.Notes = append(p.Notes, fmt.Sprintf("its title is shortened to %d characters", maxTitle))
	}
	if p.Description, cut = shorten(prose(p.Description), maxDescription); cut {
		p.Notes = append(p.Notes, fmt.Sprintf("its description is shortened to %d characters", maxDescription))
	}
	var tags []string
	left := 0
	for _, tag := range p.Tags {
		tag = page.CleanTag(strings.ReplaceAll(oneLine(tag), ",", " "))
		switch {
		case tag == "" || slices.Contains(tags, tag):
		case utf8.RuneCountInString(tag) > page.MaxTag || len(tag) > page.MaxText || len(tags) == maxTags:
			left++
		default:
			tags = append(tags, tag)
		}
	}
	if p.Tags = tags; left > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d of its tags are left out: they are too long, or too many", left))
	}
	if !page.ValidLicence(page.Licence(p.Licence)) {
		p.Licence = string(page.LicenceReserved)
	}
	if day, err := time.Parse(time.DateOnly, p.Taken); err != nil || day.Year() < 1826 || day.After(time.Now()) {
		p.Taken = ""
	}
}

// oneLine is a text without line breaks and characters that nobody sees.
func oneLine(text string) string { return strings.Join(strings.Fields(visible(text)), " ") }

// prose is a text with its line breaks, and without characters that nobody sees.
func prose(text string) string { return strings.TrimSpace(visible(text)) }

func visible(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(text, ""))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
}

func shorten(text string, limit int) (string, bool) {
	if utf8.RuneCountInString(text) <= limit {
		return text, false
	}
	return strings.TrimSpace(string([]rune(text)[:limit])), true
}

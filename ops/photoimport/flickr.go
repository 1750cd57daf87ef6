package photoimport

import (
	"encoding/json"
	"fmt"
	"html"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// The export of a Flickr account is zip files: one or several with data, in which each photo has a photo_<id>.json and
// all albums are in albums.json, and several with pictures. The name of a picture has the id of its photo between
// underscores, such as harbour_12345678_o.jpg or 12345678_0123abcdef_o.jpg. Which photos an album has is said in
// albums.json alone.

// flickrPhoto is a photo_<id>.json, as far as it is read.
type flickrPhoto struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"` // HTML
	Taken       string `json:"date_taken"`  // such as "2010-05-01 12:34:56", by the camera's clock
	Imported    string `json:"date_imported"`
	License     string `json:"license"`
	Privacy     string `json:"privacy"`
	Tags        []struct {
		Tag string `json:"tag"`
	} `json:"tags"`
	Comments []flickrComment `json:"comments"`
}

type flickrComment struct {
	Date    string `json:"date"`
	User    string `json:"user"`
	Comment string `json:"comment"` // HTML
}

// flickrAlbums is an albums.json, as far as it is read.
type flickrAlbums struct {
	Albums []struct {
		Title       string   `json:"title"`
		Description string   `json:"description"`
		Cover       string   `json:"cover_photo"` // an address that ends in the photo's id
		Photos      []string `json:"photos"`
	} `json:"albums"`
}

var (
	flickrData = regexp.MustCompile(`^photo_([0-9]+)\.json$`)
	// The id is the last number before the end. Behind it there may be ten hexadecimal digits.
	flickrPicture = regexp.MustCompile(`(?:^|_)([0-9]+)(?:_o)?\.[A-Za-z0-9]+$`)
	flickrSecret  = regexp.MustCompile(`(?:^|_)([0-9]+)_[0-9a-f]{10}(?:_o)?\.[A-Za-z0-9]+$`)
	flickrLists   = regexp.MustCompile(`^albums.*\.json$`)
)

// readFlickr reads an export of Flickr. It returns false if there is none.
func (p *Plan) readFlickr() (found bool, err error) {
	known := map[string]bool{}
	for _, e := range p.files.all {
		if match := flickrData.FindStringSubmatch(e.base()); match != nil {
			known[match[1]] = true
		}
	}
	pictures := map[string]*entry{} // by the id of the photo
	for _, e := range p.files.all {
		if path.Ext(e.name) == ".json" {
			continue
		}
		if match := flickrPicture.FindStringSubmatch(e.base()); match != nil && known[match[1]] {
			pictures[match[1]] = e
		} else if match := flickrSecret.FindStringSubmatch(e.base()); match != nil && known[match[1]] {
			pictures[match[1]] = e
		}
	}
	for _, e := range p.files.all {
		switch {
		case flickrData.MatchString(e.base()):
			found = true
			if err := p.addFlickr(e, pictures); err != nil {
				p.Problems = append(p.Problems, Problem{e.name, err})
			}
		case flickrLists.MatchString(e.base()):
			var list flickrAlbums
			if err := readJSON(e, maxJSON, &list); err != nil {
				p.Problems = append(p.Problems, Problem{e.name, err})
				continue
			}
			found = true
			for _, a := range list.Albums {
				p.Albums = append(p.Albums, Album{Title: html.UnescapeString(a.Title),
					Description: textOf(a.Description), Cover: path.Base(a.Cover), Photos: a.Photos})
			}
		}
	}
	return found, nil
}

// maxPhotoJSON bounds the data of one photo, with its comments, in bytes.
const maxPhotoJSON = 8 << 20

func readJSON(e *entry, most int64, v any) error {
	data, err := e.read(most)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	return err
}

func (p *Plan) addFlickr(e *entry, pictures map[string]*entry) error {
	var f flickrPhoto
	if err := readJSON(e, maxPhotoJSON, &f); err != nil {
		return err
	}
	if f.ID == "" {
		f.ID = flickrData.FindStringSubmatch(e.base())[1]
	}
	file := pictures[f.ID]
	if file == nil {
		return fmt.Errorf("the picture of %q is not among the files: give those with pictures, too", f.Name)
	}
	photo := Photo{ID: f.ID, Ref: f.ID, Name: file.base(), Size: file.size, file: file,
		Title: html.UnescapeString(f.Name), Description: textOf(f.Description),
		Taken: f.Taken[:min(len(f.Taken), len(time.DateOnly))], Visibility: "private",
		Licence: flickrLicence(f.License)}
	photo.posted, _ = time.Parse(time.DateTime, f.Imported) // without one it comes first
	if f.Privacy == "public" {
		photo.Visibility = "public"
	}
	for _, tag := range f.Tags {
		photo.Tags = append(photo.Tags, html.UnescapeString(tag.Tag))
	}
	photo.addComments(f.Comments)
	p.add(&photo)
	return nil
}

// addComments puts comments behind the description, as many as fit.
func (p *Photo) addComments(comments []flickrComment) {
	if len(comments) == 0 {
		return
	}
	text := prose(p.Description)
	if text != "" {
		text += "\n\n"
	}
	text += "Comments on Flickr:"
	kept := 0
	for _, c := range comments {
		line := "\n" + c.Date[:min(len(c.Date), len(time.DateOnly))] + " " + oneLine(c.User) + ": " +
			prose(textOf(c.Comment))
		if utf8.RuneCountInString(text)+utf8.RuneCountInString(line) > maxDescription {
			p.Notes = append(p.Notes, fmt.Sprintf("%d of its %d comments are left out: they do not fit into the "+
				"description", len(comments)-kept, len(comments)))
			break
		}
		text += line
		kept++
	}
	if kept > 0 {
		p.Description = text
	}
}

var (
	flickrLink  = regexp.MustCompile(`(?is)<a\s[^>]*href="([^"]*)"[^>]*>(.*?)</a>`)
	flickrBreak = regexp.MustCompile(`(?i)<br\s*/?>|</p>`)
	flickrTag   = regexp.MustCompile(`(?s)<[^>]*>`)
)

// textOf is the text of HTML as Flickr has it: links as their addresses, and no other element.
func textOf(text string) string {
	text = flickrLink.ReplaceAllStringFunc(text, func(link string) string {
		parts := flickrLink.FindStringSubmatch(link)
		address, label := html.UnescapeString(parts[1]), html.UnescapeString(flickrTag.ReplaceAllString(parts[2], ""))
		if label == "" || strings.Contains(address, strings.TrimSuffix(label, "...")) {
			return html.EscapeString(address)
		}
		return html.EscapeString(label + " (" + address + ")")
	})
	text = flickrBreak.ReplaceAllString(text, "\n")
	return html.UnescapeString(flickrTag.ReplaceAllString(text, ""))
}

// flickrLicence is the licence of that name. Those of Creative Commons become that of version 4.0.
func flickrLicence(name string) string {
	name = strings.ToLower(name)
	switch {
	case strings.Contains(name, "cc0"):
		return "cc0"
	case strings.Contains(name, "attribution"), strings.Contains(name, "cc by"):
		licence := "by"
		for _, part := range []struct{ long, short, code string }{
			{"noncommercial", "by-nc", "-nc"}, {"sharealike", "-sa", "-sa"}, {"noderiv", "-nd", "-nd"},
		} {
			if strings.Contains(name, part.long) || strings.Contains(name, part.short) {
				licence += part.code
			}
		}
		return licence
	}
	return "reserved"
}

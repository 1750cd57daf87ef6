package templates

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"

	"flickrkillr/schema/page"
)

// OEmbed says how another site shows a photo (https://oembed.com): as a picture with its author, in a size that it
// asked for.
type OEmbed struct {
	Site                Site
	Photo               page.Ref
	Title               string
	Author              Person
	Image               Image
	Licence             page.Licence
	MaxWidth, MaxHeight int // pixels; 0: no limit
	CacheAge            int // seconds
}

type oEmbedAnswer struct {
	XMLName         xml.Name `json:"-" xml:"oembed"`
	Version         string   `json:"version" xml:"version"`
	Type            string   `json:"type" xml:"type"`
	Title           string   `json:"title" xml:"title"`
	URL             string   `json:"url" xml:"url"`
	Width           int      `json:"width" xml:"width"`
	Height          int      `json:"height" xml:"height"`
	WebPage         string   `json:"web_page" xml:"web_page"`
	AuthorName      string   `json:"author_name" xml:"author_name"`
	AuthorURL       string   `json:"author_url" xml:"author_url"`
	ProviderName    string   `json:"provider_name" xml:"provider_name"`
	ProviderURL     string   `json:"provider_url" xml:"provider_url"`
	CacheAge        int      `json:"cache_age" xml:"cache_age"`
	ThumbnailURL    string   `json:"thumbnail_url" xml:"thumbnail_url"`
	ThumbnailWidth  int      `json:"thumbnail_width" xml:"thumbnail_width"`
	ThumbnailHeight int      `json:"thumbnail_height" xml:"thumbnail_height"`
	License         string   `json:"license" xml:"license"` // not in the specification; Flickr has both
	LicenseURL      string   `json:"license_url,omitempty" xml:"license_url,omitempty"`
}

// WriteOEmbed writes e as "json" or "xml". Addresses are as in [WriteFeed].
func WriteOEmbed(w io.Writer, e OEmbed, format string) error {
	s := e.Site
	file, width, height := e.Image.fitting(previewWidth, e.MaxWidth, e.MaxHeight)
	thumbnail, thumbnailWidth, thumbnailHeight := e.Image.fitting(320, e.MaxWidth, e.MaxHeight)
	a := oEmbedAnswer{
		Version: "1.0", Type: "photo", Title: titleOr(e.Title), CacheAge: e.CacheAge,
		URL: s.absolute(e.Image.at(file)), Width: width, Height: height, WebPage: s.absolute(e.Photo),
		AuthorName: e.Author.Label(), AuthorURL: s.absolute(page.User(e.Author.Name)), ProviderName: Name,
		ProviderURL:  s.absolute(page.Home()),
		ThumbnailURL: s.absolute(e.Image.at(thumbnail)), ThumbnailWidth: thumbnailWidth,
		ThumbnailHeight: thumbnailHeight, License: e.Licence.Name(), LicenseURL: e.Licence.URL(),
	}
	var err error
	if format == "xml" {
		if _, err = io.WriteString(w, xml.Header); err == nil {
			err = xml.NewEncoder(w).Encode(a)
		}
	} else {
		err = json.NewEncoder(w).Encode(a)
	}
	if err != nil {
		return fmt.Errorf("write oEmbed answer for %s: %w", e.Photo, err)
	}
	return nil
}

// fitting chooses the widest derivative, of at most so many pixels, that fits into maxWidth by maxHeight (0: no limit),
// and gives its size. When even the smallest does not fit, that is what is shown, scaled down to the size given.
func (im Image) fitting(widest, maxWidth, maxHeight int) (width, w, h int) {
	fits := func(w, h int) bool { return (maxWidth == 0 || w <= maxWidth) && (maxHeight == 0 || h <= maxHeight) }
	for _, candidate := range page.Widths() {
		cw, ch := im.scaled(candidate)
		if width == 0 || candidate <= widest && fits(cw, ch) {
			width, w, h = candidate, cw, ch
		}
		if im.Width <= candidate {
			break
		}
	}
	if fits(w, h) {
		return width, w, h
	}
	scale := 1.0
	if maxWidth > 0 {
		scale = min(scale, float64(maxWidth)/float64(w))
	}
	if maxHeight > 0 {
		scale = min(scale, float64(maxHeight)/float64(h))
	}
	return width, max(1, int(float64(w)*scale)), max(1, int(float64(h)*scale))
}

package bench

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// parsedPage is what a browser reads from a page that has been checked.
type parsedPage struct {
	hash   uint64 // of the body as received
	user   string
	needs  []need
	photos []string // paths of the photos that it shows
	older  string   // path of the following page; "" if there is none
}

// need is a file that is needed to show a page completely.
type need struct {
	path  string
	class class
}

// weight is about how many bytes of memory the value takes.
func (v *parsedPage) weight() uint32 {
	n := 200
	for _, need := range v.needs {
		n += 40 + len(need.path)
	}
	for _, path := range v.photos {
		n += 20 + len(path)
	}
	return uint32(n)
}

// pageParser collects a parsedPage from a page's elements.
type pageParser struct {
	run        *run
	page       *url.URL
	parsedPage *parsedPage
	seen       map[string]struct{}
	filled     float64 // of the page, in CSS pixels from its head down, by the pictures so far
}

// parsePage finds what a page needs and links to.
func (r *run) parsePage(path string, body []byte) *parsedPage {
	base, err := url.Parse(path)
	if err != nil {
		base = &url.URL{Path: "/"}
	}
	d := pageParser{run: r, page: base, parsedPage: &parsedPage{}, seen: map[string]struct{}{}}
	for tokens := html.NewTokenizer(bytes.NewReader(body)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return d.parsedPage
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := tokens.TagName()
			if !more {
				continue
			}
			switch name := string(name); name {
			case "link", "script", "img":
				if !r.cfg.PagesOnly {
					d.element(name, readAttributes(tokens))
				}
			case "a":
				d.element(name, readAttributes(tokens))
			}
		}
	}
}

// attributes are the attributes of an element that matter here.
type attributes struct{ rel, href, src, srcset, sizes, width, height, loading string }

func readAttributes(tokens *html.Tokenizer) (a attributes) {
	for more := true; more; {
		var name, value []byte
		name, value, more = tokens.TagAttr()
		switch string(name) {
		case "rel":
			a.rel = strings.ToLower(string(value))
		case "href":
			a.href = string(value)
		case "src":
			a.src = string(value)
		case "srcset":
			a.srcset = string(value)
		case "sizes":
			a.sizes = string(value)
		case "width":
			a.width = string(value)
		case "height":
			a.height = string(value)
		case "loading":
			a.loading = strings.ToLower(string(value))
		}
	}
	return a
}

func (d *pageParser) element(name string, a attributes) {
	switch name {
	case "link":
		for rel := range strings.FieldsSeq(a.rel) {
			switch rel {
			case "stylesheet", "icon", "preload", "modulepreload": // only an installation fetches the manifest
				d.need(a.href, classStatic)
			}
		}
	case "script":
		d.need(a.src, classStatic)
	case "img":
		d.picture(a)
	case "a":
		d.link(a.rel, a.href)
	}
}

// picture adds a picture to the page. Its place is estimated without a layout: pictures are packed in order, without
// gaps.
func (d *pageParser) picture(a attributes) {
	window := d.run.cfg.Viewport
	address, shown := window.choose(a.src, a.srcset, a.sizes)
	width, errW := strconv.ParseFloat(a.width, 64)
	height, errH := strconv.ParseFloat(a.height, 64)
	if errW != nil || errH != nil || width <= 0 || height <= 0 {
		width, height = 300, 150 // as CSS has it for what has no size
	}
	if shown == 0 {
		shown = width
	}
	shown = min(shown, float64(window.Width))
	lies := d.filled
	d.filled += shown * shown * height / width / float64(window.Width)
	if a.loading == "lazy" && lies >= d.run.cfg.Screens*float64(window.Height) {
		return
	}
	d.need(address, classPicture)
}

// need adds a file of this site, once.
func (d *pageParser) need(address string, class class) {
	path, ok := d.local(address)
	if !ok {
		return
	}
	if _, known := d.seen[path]; known {
		return
	}
	d.seen[path] = struct{}{}
	d.parsedPage.needs = append(d.parsedPage.needs, need{path, class})
}

// link records where a visitor may go next: the photos shown, and the following page.
func (d *pageParser) link(rel, address string) {
	path, ok := d.local(address)
	switch {
	case !ok:
	case rel == "next":
		d.parsedPage.older = path
	case rel == "" && strings.HasPrefix(path, "/photo/"):
		if _, known := d.seen[path]; !known {
			d.seen[path] = struct{}{}
			d.parsedPage.photos = append(d.parsedPage.photos, path)
		}
	}
}

// local returns an address as a path of this site. Other sites are not requested.
func (d *pageParser) local(address string) (path string, ok bool) {
	if strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") && !strings.Contains(address, "#") {
		return address, true
	}
	u, err := d.page.Parse(address)
	if address == "" || err != nil || u.Scheme != "" || u.Host != "" {
		return "", false
	}
	u.Fragment = ""
	return u.RequestURI(), true
}

package bench

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// view is what a browser takes from a page that has been checked.
type view struct {
	hash   uint64 // of the body as it travelled
	user   string // whose page it was found to be
	needs  []need
	photos []string // paths of the photos that it shows
	older  string   // path of the page that follows it; "" if there is none
}

// need is a file without which a page is not complete.
type need struct {
	path  string
	class class
}

// weight is about how many bytes a view takes in memory.
func (v *view) weight() uint32 {
	n := 200
	for _, need := range v.needs {
		n += 40 + len(need.path)
	}
	for _, path := range v.photos {
		n += 20 + len(path)
	}
	return uint32(n)
}

// reader collects a view from a page's elements.
type reader struct {
	run    *run
	page   *url.URL
	view   *view
	seen   map[string]struct{}
	filled float64 // of the page, in CSS pixels from its head down, by the pictures so far
}

// read finds what a page needs and where it leads.
func (r *run) read(path string, body []byte) *view {
	base, err := url.Parse(path)
	if err != nil {
		base = &url.URL{Path: "/"}
	}
	d := reader{run: r, page: base, view: &view{}, seen: map[string]struct{}{}}
	for tokens := html.NewTokenizer(bytes.NewReader(body)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return d.view
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

// attributes are those of an element that matter here.
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

func (d *reader) element(name string, a attributes) {
	switch name {
	case "link":
		for rel := range strings.FieldsSeq(a.rel) {
			switch rel {
			case "stylesheet", "icon", "preload", "modulepreload": // a manifest is fetched by who installs the site
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

// picture puts a picture on the page. There is no layout, so where it lies is estimated: pictures are packed in their
// order, without gaps.
func (d *reader) picture(a attributes) {
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
func (d *reader) need(address string, class class) {
	path, ok := d.local(address)
	if !ok {
		return
	}
	if _, known := d.seen[path]; known {
		return
	}
	d.seen[path] = struct{}{}
	d.view.needs = append(d.view.needs, need{path, class})
}

// link remembers where a visitor may go on to: the photos shown, and the page that follows.
func (d *reader) link(rel, address string) {
	path, ok := d.local(address)
	switch {
	case !ok:
	case rel == "next":
		d.view.older = path
	case rel == "" && strings.HasPrefix(path, "/photo/"):
		if _, known := d.seen[path]; !known {
			d.seen[path] = struct{}{}
			d.view.photos = append(d.view.photos, path)
		}
	}
}

// local is an address as a path of this site; other sites' are not asked.
func (d *reader) local(address string) (path string, ok bool) {
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

package templates

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"flickrkillr/schema/page"
)

// Pages say in JSON-LD, in the words of schema.org, what they show. It names absolute addresses, so a site that does
// not know its own has none. The element is a data block, which no browser executes and the Content-Security-Policy
// does not concern.

// crumb is a step of the way to a page.
type crumb struct {
	name string
	ref  page.Ref
}

// thing is a schema.org object; empty fields are left out.
type thing struct {
	Type        string  `json:"@type"`
	URL         string  `json:"url,omitempty"`
	Name        string  `json:"name,omitempty"`
	Alternate   string  `json:"alternateName,omitempty"`
	Description string  `json:"description,omitempty"`
	Author      *thing  `json:"author,omitempty"`
	Main        *thing  `json:"mainEntity,omitempty"`
	Credit      string  `json:"creditText,omitempty"`
	Content     string  `json:"contentUrl,omitempty"`
	Thumbnail   string  `json:"thumbnailUrl,omitempty"`
	Width       string  `json:"width,omitempty"`
	Height      string  `json:"height,omitempty"`
	Keywords    string  `json:"keywords,omitempty"`
	Uploaded    string  `json:"uploadDate,omitempty"`
	Created     string  `json:"dateCreated,omitempty"`
	License     string  `json:"license,omitempty"`
	Items       []step  `json:"itemListElement,omitempty"`
	Likes       *number `json:"interactionStatistic,omitempty"`
}

type step struct {
	Type     string `json:"@type"`
	Position int    `json:"position"`
	Name     string `json:"name"`
	Item     string `json:"item"`
}

type number struct {
	Type  string `json:"@type"`
	Of    string `json:"interactionType"`
	Count int    `json:"userInteractionCount"`
}

type graph struct {
	Context string  `json:"@context"`
	Graph   []thing `json:"@graph"`
}

// linkedData is what the page is about and the way to it, if there is anything to say.
func (f frame) linkedData() []thing {
	if f.site.Base == "" {
		return nil
	}
	var all []thing
	if f.about != nil {
		all = append(all, *f.about)
	}
	if len(f.trail) > 0 {
		list := thing{Type: "BreadcrumbList"}
		for i, c := range f.trail {
			list.Items = append(list.Items, step{"ListItem", i + 1, c.name, f.site.url(c.ref)})
		}
		all = append(all, list)
	}
	return all
}

// dataBlock writes things as a data block. JSON as encoding/json writes it has <, >, & and the line separators U+2028
// and U+2029 escaped, so that no text can end the element or, where somebody takes it for script, a line.
func dataBlock(things []thing) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		data, err := json.Marshal(graph{"https://schema.org", things})
		if err != nil {
			return err
		}
		for _, part := range [...]string{`<script type="application/ld+json">`, clean(string(data)), `</script>`} {
			if _, err := io.WriteString(w, part); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s Site) personThing(p Person) *thing {
	return &thing{Type: "Person", Name: p.Label(), URL: s.url(page.User(p.Name))}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rfc3339(t)
}

// siteThing says on the front page what the site is called.
func (s Site) siteThing() *thing { return &thing{Type: "WebSite", Name: Name, URL: s.url(page.Home())} }

func (p UserPage) thing() *thing {
	who := p.Site.personThing(p.User)
	who.Alternate = p.User.Name
	who.Description = summary(p.Bio, "")
	return &thing{Type: "ProfilePage", URL: p.Site.url(p.Self), Created: stamp(p.Joined), Main: who}
}

func (p AlbumPage) thing() *thing {
	return &thing{Type: "ImageGallery", URL: p.Site.url(p.Self), Name: titleOr(p.Title),
		Description: summary(p.Description, ""),
		Author:      p.Site.personThing(p.Owner)}
}

func (p PhotoPage) thing() *thing {
	w, h := p.Image.scaled(previewWidth)
	tags := make([]string, len(p.Tags))
	for i, tag := range p.Tags {
		tags[i] = clean(tag)
	}
	t := &thing{
		Type: "ImageObject", URL: p.Site.url(p.Photo), Name: titleOr(p.Title), Description: summary(p.Description, ""),
		Author: p.Site.personThing(p.Author), Credit: p.Author.Label(),
		Content: p.Site.url(p.Image.at(previewWidth)), Thumbnail: p.Site.url(p.Image.at(320)),
		Width: strconv.Itoa(w) + " px", Height: strconv.Itoa(h) + " px",
		Keywords: strings.Join(tags, ", "), Uploaded: stamp(p.Posted), Created: stamp(p.Taken),
		License: p.Licence.URL(),
	}
	if p.Faves > 0 {
		t.Likes = &number{"InteractionCounter", "https://schema.org/LikeAction", p.Faves}
	}
	return t
}

package templates

import (
	_ "embed"
	"encoding/json"
	"encoding/xml"
	"fmt"

	"flickrkillr/schema/page"
)

// The icons are drawn by `go run ./ops/icons`.
var (
	//go:embed files/favicon.ico
	favicon []byte
	//go:embed files/apple-touch-icon.png
	touchIcon []byte
)

// File returns one of [page.Files] with its content type. ok is false for an OpenSearch description on a site that
// does not know its own address, which the description must contain.
func File(site Site, name string) (body []byte, contentType string, ok bool, err error) {
	switch name {
	case "robots.txt":
		return []byte(robots(site)), "text/plain; charset=utf-8", true, nil
	case "favicon.ico":
		return favicon, "image/x-icon", true, nil
	case "apple-touch-icon.png":
		return touchIcon, "image/png", true, nil
	case "manifest.webmanifest":
		body, err = manifest(site)
		return body, "application/manifest+json", true, err
	case "opensearch.xml":
		if site.Base == "" {
			return nil, "", false, nil
		}
		body, err = openSearch(site)
		return body, "application/opensearchdescription+xml", true, err
	}
	return nil, "", false, nil
}

// manifest says how the site looks when somebody installs it (https://www.w3.org/TR/appmanifest/).
func manifest(site Site) ([]byte, error) {
	type icon struct {
		Src     string `json:"src"`
		Sizes   string `json:"sizes"`
		Type    string `json:"type"`
		Purpose string `json:"purpose,omitempty"`
	}
	body, err := json.MarshalIndent(struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Short       string `json:"short_name"`
		Description string `json:"description"`
		Start       string `json:"start_url"`
		Scope       string `json:"scope"`
		Display     string `json:"display"`
		Background  string `json:"background_color"`
		Theme       string `json:"theme_color"`
		Icons       []icon `json:"icons"`
	}{"/", Name, "Killr", "Photos from everybody.", "/", "/", "minimal-ui", "#fbfbfa", "#121211", []icon{
		{site.Assets.Path("icon-192.png"), "192x192", "image/png", ""},
		{site.Assets.Path("icon-512.png"), "512x512", "image/png", ""},
		{site.Assets.Path("icon-maskable.png"), "512x512", "image/png", "maskable"},
		{site.Assets.Path("icon.svg"), "any", "image/svg+xml", ""},
	}}, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return append(body, '\n'), nil
}

// openSearch says how a browser searches the site (https://github.com/dewitt/opensearch).
func openSearch(site Site) ([]byte, error) {
	type address struct {
		Type     string `xml:"type,attr"`
		Rel      string `xml:"rel,attr,omitempty"`
		Template string `xml:"template,attr"`
	}
	type picture struct {
		Width  int    `xml:"width,attr"`
		Height int    `xml:"height,attr"`
		Type   string `xml:"type,attr"`
		URL    string `xml:",chardata"`
	}
	body, err := xml.Marshal(struct {
		XMLName     xml.Name  `xml:"http://a9.com/-/spec/opensearch/1.1/ OpenSearchDescription"`
		ShortName   string    `xml:"ShortName"`
		Description string    `xml:"Description"`
		Encoding    string    `xml:"InputEncoding"`
		Image       picture   `xml:"Image"`
		URLs        []address `xml:"Url"`
	}{
		ShortName: Name, Description: "Search photos, people and tags", Encoding: "UTF-8",
		Image: picture{16, 16, "image/x-icon", site.url(page.File("favicon.ico"))},
		URLs: []address{
			{"text/html", "", site.url(page.Search("")) + "?q={searchTerms}"},
			{"application/opensearchdescription+xml", "self", site.url(page.File("opensearch.xml"))},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("write the OpenSearch description: %w", err)
	}
	return append([]byte(xml.Header), body...), nil
}

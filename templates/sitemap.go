package templates

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"flickrkillr/schema/page"
)

// SitemapEntry is an address in a sitemap (https://www.sitemaps.org), or a part in its index.
type SitemapEntry struct {
	Ref     page.Ref
	Image   Image     // the picture that it shows, of which ID and Width count; without an ID: none
	Changed time.Time // zero: not known
}

// WriteSitemapIndex writes the index of parts. The site must know its own address: a sitemap has absolute ones only.
func WriteSitemapIndex(w io.Writer, site Site, parts []SitemapEntry) error {
	return writeSitemap(w, site, "sitemapindex", "sitemap", parts)
}

// WriteSitemap writes a part. With 5,000 photos it has about 800 KB, compressed a tenth of that.
func WriteSitemap(w io.Writer, site Site, entries []SitemapEntry) error {
	return writeSitemap(w, site, "urlset", "url", entries)
}

func writeSitemap(w io.Writer, site Site, root, element string, entries []SitemapEntry) error {
	var escaped bytes.Buffer
	if err := xml.EscapeText(&escaped, []byte(site.Base)); err != nil {
		return fmt.Errorf("write a sitemap: %w", err)
	}
	base := escaped.String()
	b := append([]byte(xml.Header), "<"+root+` xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"`...)
	if root == "urlset" {
		b = append(b, ` xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"`...)
	}
	b = append(b, ">\n"...)
	for _, e := range entries {
		b = append(append(append(append(b, '<'), element...), "><loc>"...), base...)
		b = append(e.Ref.AppendPath(b), "</loc>"...) // paths of photos, users, albums and parts need no escaping
		if !e.Changed.IsZero() {
			b = e.Changed.UTC().AppendFormat(append(b, "<lastmod>"...), time.RFC3339)
			b = append(b, "</lastmod>"...)
		}
		if e.Image.ID != "" {
			b = append(append(b, "<image:image><image:loc>"...), base...)
			b = append(e.Image.at(previewWidth).AppendPath(b), "</image:loc></image:image>"...)
		}
		b = append(append(append(b, "</"...), element...), ">\n"...)
		if len(b) > 32<<10 {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("write a sitemap: %w", err)
			}
			b = b[:0]
		}
	}
	b = append(append(append(b, "</"...), root...), ">\n"...)
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write a sitemap: %w", err)
	}
	return nil
}

// robots tells crawlers what not to fetch: results of searches, of which there is no end.
func robots(site Site) string {
	var b strings.Builder
	b.WriteString("User-agent: *\nDisallow: /search?\n")
	if address := site.url(page.Sitemap()); address != "" {
		b.WriteString("\nSitemap: " + address + "\n")
	}
	return b.String()
}

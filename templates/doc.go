// Package templates turns view models into HTML pages, Atom feeds, sitemaps and oEmbed answers, and holds the static
// files that those pages link to.
//
// Input: plain view models ([HomePage], [UserPage], [PhotoPage], ...), and the [Assets] loaded once at start.
//
// Output: templ components and bytes.
//
// Must not touch: the bus, the database, the network, the clock. A view fetches nothing, so one model always gives one
// page. The package imports schema/page and templ.
//
// Every href comes from a [page.Ref] or, within texts of users, from the http(s) scanner in links.go. Texts of users
// stand under dir="auto" or in a bdi element, so that a right-to-left mark in a name affects nothing outside it. The
// site's Content-Security-Policy allows no inline style and no inline script, so a photo passes its shape and colour to
// the style sheet by classes, see shape.go.
//
// The files:
//
//	model.go         the view models, as far as they do not stand beside their view
//	layout.templ     what is around every page; linkeddata.go: JSON-LD in its head
//	home.templ ...   one file for each kind of page; problem.templ: error pages
//	private.templ    forms and pages for one person; private.go: their models
//	listing.templ    parts that pages share; grid.go: grids of photos, written by hand for speed
//	shape.go         shape, colour and sizes of pictures; format.go: numbers, dates, titles
//	links.go         addresses in texts of users
//	feed.go sitemap.go oembed.go files.go   answers for programs
//	assets.go        static files under content-hashed names
package templates

// Package templates turns rows that somebody else has read into HTML pages, Atom feeds, sitemaps and oEmbed answers,
// and holds the static files those pages name.
//
// In flow plain view models ([HomePage], [UserPage], [PhotoPage], ...) and the [Assets] loaded once at start; out flow
// templ components and bytes. A view fetches nothing and knows no clock, so that one model always gives one page. It
// may import schema/page and templ, and it may not touch the bus, the database or the network. Addresses come from a
// [page.Ref] or, in what people wrote, from the http(s) scanner in links.go; nothing else reaches an href. Everything
// people wrote stands under dir="auto" or in a bdi element, so that a name with a right-to-left mark in it turns around
// nothing but itself.
//
// The site's Content-Security-Policy allows no inline style and no inline script, so a photo tells the style sheet its
// shape and its colour by classes; shape.go says how.
package templates

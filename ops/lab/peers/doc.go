// Package peers compares Flickr Killr with its alternatives: nginx and Varnish with the same bytes, a plain Go program
// with the same rows and views.
//
// **Input**: the bytes of a page, the paths of users' pages, and what starts this program's own servers. **Output**: a
// [Result]: the processor time of all server processes per answer, as ratios with targets. **Must not touch**: the
// roles' code. It writes to a temporary folder and to the memcached that it is given.
//
// All servers run side by side and are visited in short rounds, in turn (A B C A B C), of which medians are taken. So a
// machine that is slower for a minute is slower for all. All answer with the same page in the same form, which is
// checked, over kept connections. With [Protocols] they are visited over HTTP/1.1, and over HTTP/1.1 and HTTP/2 within
// TLS.
//
//	protocols.go, certificate.go, table.go  the same over TLS and HTTP/2
//	peers.go    the servers to compare, and the rounds
//	nginx.go    nginx with a file, with memcached, as a cache, in front of a program
//	varnish.go  Varnish
//	origin.go   where caches get the page from
//	result.go   medians, targets, the table
package peers

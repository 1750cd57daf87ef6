// Package peers sets Flickr Killr beside what one would put in its place: nginx and Varnish with the same bytes, a
// plain Go program with the same rows and views.
//
// In flow a page's bytes, the addresses of users' pages, and what starts this program's own servers; out flows a
// [Result]: what an answer costs all server processes together in processor time, as ratios against targets. All
// servers stand side by side during the whole run and are visited in short rounds, one after another and again (A B C A
// B C), of which medians are taken: so a machine that is slower for a minute is slower for all.
//
//	peers.go      who is compared, and the rounds
//	nginx.go      nginx with a file, with memcached, as a cache, in front of a program
//	varnish.go    Varnish
//	origin.go     where caches get the page from
//	result.go     medians, targets, the table
//
// Everybody answers with the same page in the same form, which is checked, over connections that are kept. It writes to
// a temporary folder and to the memcached it is given, and knows nothing about the roles but how to visit them.
package peers

// Package ladder climbs again what a talk of 2007 climbed: one photo site in four versions, each of which removes the
// bottleneck that was measured in the one before, and Flickr Killr as the fifth. All rungs show the same page of the
// same database, with its files and pictures.
//
// In flow a database with the demonstration data, its pictures, and what starts this program again; out flows a
// [Result], as a table with the figures of 2007 beside today's. The measuring is ops/lab/bench's, the starting and
// stopping ops/lab/rig's.
//
//	ladder.go    the climb: each rung is put up, visited, and taken away
//	serve.go     what all rungs but the last have in common: pages out of the database, files out of a folder
//	cgi.go       0.1, a process and a database connection for each page
//	process.go   0.2, one process that stays
//	proxy.go     0.3, several that share nothing, behind a proxy
//	memcached.go 0.4, the proxy takes files out of memcached
//	bus.go       1.0, edges, the bus, renderers
//	show.go      one version kept up, to be looked at; report.go, the result as a page with plots
//	lesson.go    what an index is worth; versus.go, what memcached is worth against a file
//	files.go     files and pictures made beforehand, as in 2007
//
// It reads the database and writes nothing there, but for the lesson, which takes an index away for a while, and only
// where the data is the demonstration's own.
package ladder

// Package ladder measures the photo site of a talk of 2007 in its four versions, each of which removes the bottleneck
// of the one before, and Flickr Killr as the fifth. All versions, the rungs, serve the same page of the same database,
// with its files and pictures.
//
// **Input**: a database with the demonstration data, its pictures, and the command that starts this program again.
// **Output**: a [Result]: a table, or a page with plots, with the figures of 2007 beside today's. **Must not touch**:
// rows. It writes to the database only for the lesson, which drops an index for a while, and only where the data is the
// demonstration's. ops/lab/bench measures, ops/lab/rig starts and stops processes.
//
// Files:
//
//	ladder.go     starts, measures and stops each rung
//	serve.go      what all rungs but the last share: pages from the database, files from a folder
//	cgi.go        0.1, a process and a database connection for each page
//	process.go    0.2, one process that stays
//	proxy.go      0.3, several processes that share nothing, behind a proxy
//	memcached.go  0.4, the proxy takes files from memcached
//	bus.go        1.0, edges, the bus, renderers
//	show.go       keeps one version up for a browser
//	files.go      makes files and pictures beforehand, as in 2007, and checks that each rung serves them
//	lesson.go     what an index is worth; versus.go: a file against memcached
//	result.go     the figures and the table; report.go: the page with plots
package ladder

// Package bench visits a site as many browsers at once do, and reports throughput, latency and failures.
//
// **Input**: a [Config]: the edges, the pages that visits begin with, the number of visitors or of pages per second,
// and the duration. Names of users are read from Postgres, once, before the run. **Output**: a [Result]: throughput,
// latencies, failures by kind with an example of each, which caches answered, and the processor time of every process;
// as a table, as JSON, or as a page with plots. **Must not touch**: the bus, memcached, the roles' code. It writes
// nothing to the database.
//
// It shares a machine with what it measures, so it must cost little: one goroutine for each connection, and a body that
// was decompressed and checked before is recognized by its hash.
//
// Files:
//
//	config.go     Config with its defaults; pages.go: lists of pages
//	run.go        starts the visitors: closed loop or open loop; arrivals.go: when pages of an open loop begin
//	watch.go      collects what visitors recorded while time passes; cpu.go: processor time
//	visit.go      the pages of one visit; zipf.go draws the first
//	visitor.go    requests a page, and what the page needs
//	needs.go      finds what a page needs and links to; srcset.go chooses pictures as browsers do
//	http1.go      up to six connections; http2.go: one connection
//	check.go      checks each answer before it counts
//	part.go       counts answers apart: visitors who are signed in, and what comes during a storm
//	record.go     counts answers; result.go: the figures that follow
//	table.go      prints them; words.go: the sentences; report.go: the page with plots
package bench

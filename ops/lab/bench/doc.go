// Package bench visits a site as browsers do, many at once, and says how it bore that.
//
// In flow a [Config]: where the edges are, the pages that visits begin with, how many visitors there are or how many
// pages a second they begin, and for how long. Out flows a [Result]: throughput, latencies, failures by kind with an
// example of each, the caches that answered, what every process paid in processor time; as a table for people, as JSON,
// or as a page with plots.
//
// A visitor (visitor.go) has up to six connections (http1.go) or one of HTTP/2 (http2.go), looks at a page, fetches
// what it needs and they have not fetched before in their visit (needs.go, srcset.go), and goes on to one that it links
// to (visit.go). No answer counts before it has been checked (check.go). Pages begin when the ones before are done, or
// at times that do not depend on the server (arrivals.go); then latency counts from the time at which a page should
// have begun. Every visitor writes to a recorder (record.go), which one goroutine (run.go) empties as time passes.
//
// It shares a machine with what it measures, so it is made to cost little: one goroutine a connection and no other, and
// a body whose very bytes have been unpacked and found right before is recognised by their hash.
//
// It talks HTTP to edges and reads the names of users from Postgres, once, before it begins. It may not touch the bus,
// memcached or the roles' code, nor write to the database.
package bench

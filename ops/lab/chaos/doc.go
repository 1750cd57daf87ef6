// Package chaos breaks a site on purpose, one thing after another, while visitors load it, and says of each row of its
// catalogue whether the visitors noticed more than they may.
//
// **Input**: a [Config]: a stack of its own with a seeded database, the rows, the rate and duration. **Output**: a
// [Result]: for each row the answers, those that were bad by kind, latencies, a timeline with the faults, and the
// target, met or missed; as a table, as Markdown, as JSON, or as a page with plots. **Must not touch**: the roles'
// code, a site that others use. Only ops/cli and tests import it.
//
// Each row gets roles of its own, as processes, on the services that all rows share. The load is that of ops/lab/bench:
// an open loop, so that a slow site does not slow the visitors, who check each body.
//
// A row has a control: the same row on a site without the mechanism that protects it, which must miss the target. It
// proves that the row can be missed. Some controls have fewer processes or no cache; others are mutants, which are
// built from the source tree (ops/lab/mutant).
//
// Rows of machines have a catalogue of their own (FindFleet): each runs on a fleet (ops/fleet) to which this program is
// deployed by `killr deploy`. Its visitors go to another edge when theirs is silent, and an audit writes meanwhile.
//
// Files:
//
//	row.go        Row: what is broken, the load, the targets, the control
//	catalogue.go  all rows; bucketrows.go those of a site whose pictures are in a bucket
//	mistakes.go   the mutants of the controls; clocks.go: programs whose clocks are wrong
//	fault.go      when a fault is injected, and how; limit_linux.go: limits of running processes
//	run.go        runs rows: starts roles, loads them, injects the fault; running.go: on a site that runs already
//	fleetrows_linux.go   all rows of machines
//	fleetsite_linux.go   deploys the site to machines, and knows when all of it is ready; fleeteven_linux.go counts
//	fleetdatabase_linux.go  fills their database, and knows when it is whole; database.go reaches it
//	fleetturns_linux.go  loads it, audits it, and breaks one machine after the other; writetimes.go
//	bus.go        signs in to the bus
//	bucket.go     a bucket whose server fails; uploaders.go: people who upload; bucketcheck.go compares it with rows
//	killall.go    visitors who write, while everything is killed at once
//	targets.go    compares what was seen with the targets
//	result.go     Result; table.go prints it; report.go is the page with plots
package chaos

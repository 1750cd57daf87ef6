// Package cli is the command line of killr: it parses flags, fills the Configs of what a command needs, runs it, and stops it in order.
//
// **Input**: arguments, environment variables (KILLR_ and the name of the flag), and a context that ends when the program is told to stop.
// **Output**: an exit status, results on standard output, logs and messages on standard error.
// **Must not touch**: the logic of the site. It knows every package and contains none of their work.
//
//	cli.go        the command tree: parse, run, exit status
//	limits.go     which numbers the flags allow
//	log.go        logs for people and for machines
//	services.go   flags that say where NATS, Postgres and memcached are
//	database.go   a pool of connections for one command
//
//	up.go         up: the whole site on this machine
//	edge.go       edge, renderer.go, cachefill.go: one role, in this process; role.go is what they share
//	migrate.go    migrate
//	seed.go       seed; progress.go shows how far it is
//	warm.go       warm: fill memcached now
//	setup.go      setup
//	audit.go      audit, of a running site or of one of its own (auditsite.go)
//	bench.go      bench; benchprogress.go shows how far it is; benchpeers.go is bench --peers
//	ladder.go     ladder; ladderscale.go is ladder --scale
//	version.go    version
//
//	spawn.go      one role as a process of its own
//	roleprocesses.go  the roles of a site that is measured, as processes
//	throwaway.go  a database and a memcached for one command
//	group.go      things that run side by side and stop together
//	ready.go      what is logged while a role cannot serve
//	bus.go        a connection to NATS that knows why there is none
package cli

// Package cli is the command line of killr: it parses flags, fills the Configs of what a command needs, runs it, and
// stops it in order.
//
// **Input**: arguments, environment variables (KILLR_ and the name of the flag), and a context that ends when the
// program is told to stop. **Output**: an exit status, results on standard output, logs and messages on standard error.
// **Must not touch**: the logic of the site. It knows every package and contains none of their work.
//
//	cli.go        the command tree: parse, run, exit status
//	limits.go     which numbers the flags allow
//	usage.go      what is wrong with a command line
//	log.go        logs for people and for machines
//	services.go   flags that say where NATS, Postgres and memcached are
//	database.go   a pool of connections for one command
//
//	up.go         up: the whole site on this machine
//	edge.go, renderer.go, cachefill.go: the commands of roles, and their flags, which up takes too.
//	role.go       runs one role
//	migrate.go    migrate
//	seed.go       seed; progress.go shows how far it is
//	warm.go       warm: fill memcached now
//	setup.go      setup
//	audit.go      audit, of a running site or of one in a sandbox
//	bench.go      bench; benchprogress.go shows how far it is; benchpeers.go is bench --peers,
//	              benchprotocols.go with --tls
//	chaos.go      chaos, on a site in a sandbox
//	ladder.go     ladder; ladderscale.go is ladder --scale
//	bus.go        bus check, bus config; businstances.go is what deploy asks on a host, busserver.go a
//	              nats-server there
//	deploy.go, rollback.go, add.go, drain.go, scale.go, status.go: a site on many machines
//	version.go    version
//
//	sandbox.go    services and data in a temporary directory, for a command that breaks or measures things
//	measured.go   a site as processes that are measured
package cli

// Package stack runs the three services that every role needs, on this machine: an embedded nats-server with JetStream,
// and a private PostgreSQL and memcached as child processes. It also supervises other processes.
//
// **Input**: a data directory and ports. **Output**: addresses, and the file stack.env, which a shell can source so
// that commands in other terminals need no configuration. **Must not touch**: pages, schemas, roles; it may not import
// a role.
//
// The children listen on loopback only, never run as root, end with their parent (on Linux by the parent-death signal;
// elsewhere the next start ends what was left over), and are always reaped.
//
//	stack.go      Stack: all three services in one data directory
//	fault.go      what can be done to them: stop, crash, freeze
//	nats.go       NATS; natslog.go is its log
//	postgres.go   PostgreSQL; cluster.go makes its cluster, pidfile.go repairs what an earlier run left
//	memcached.go  memcached
//	s3.go         an S3 server, for tests and instruments
//	supervise.go  processes that are started again when they end
//	child.go      a child process; child_linux.go, child_other.go tie it to its parent
//	connect.go    connect to NATS; bus.go is a connection that can say why it is down
//	access.go     what NATS lets each role do; checkaccess.go tries it, refusals.go logs what is refused
//	seeds.go      the seeds by which roles sign in to NATS
//	env.go        stack.env, and the environment of children
//	datadir.go    the data directory and its lock
//	port.go       free ports, and the process that holds a taken one
//	find.go       the programs of PostgreSQL and memcached
//	user.go       the user that children run as
//	logfile.go    the log of a child
package stack

// Package stack runs the three services every role leans on, on one machine and for nobody else: an embedded
// nats-server with JetStream, a private PostgreSQL and a private memcached as child processes.
//
// What flows in: a folder to keep data in, and ports. What flows out: addresses, which WriteEnv leaves in a file that a
// shell can source, so that another terminal joins without being configured.
//
// The children listen on loopback only, never run as root, die with their parent (Linux: by parent-death signal;
// elsewhere the next start ends what was left over) and are always reaped. The package knows nothing of pages, schemas
// or roles: it may not import a role, and only main and tests may import it.
package stack

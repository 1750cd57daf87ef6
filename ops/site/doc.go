// Package site runs a site: the roles, in this process or as processes of their own, on services that it starts or that
// run elsewhere. Commands, instruments and tests that need a site all use it.
//
// **Input**: a [Config]: where the services are or how to start them, and what each role is told. **Output**: a running
// [Site]: addresses of its edges, a channel that says when a role failed, readiness, faults by name. **Must not
// touch**: the content of pages and rows, flags, and instruments. It may not import ops/cli or ops/lab.
//
//	site.go      Site: start services, add roles, wait, stop
//	edge.go      edges: where they listen; in this process
//	roles.go     renderers and cachefills in this process
//	process.go   roles as processes: command, environment, readiness
//	ready.go     wait until something answers
//	scaler.go    more and fewer renderers, with the load; scaling.go decides; processors.go: how busy the machine is
//	watch.go     log why a role is not ready
//	fault.go     faults that a site can suffer, by name; services.go has those of services
//	group.go     Group: goroutines that run together and are stopped together
package site

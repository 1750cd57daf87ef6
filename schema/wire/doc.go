// Package wire is the contract of the bus: every subject, queue group, header, form of a message and error code that
// one role sends and another reads. Only the subjects of pages, pictures and assets are elsewhere, in schema/page.
//
// Input and output: bytes of messages and of cached items, as typed values and back.
//
// Must not touch: any role, any connection. The only state is that of a [Clock] and the pools of a [Gzip]. It imports
// schema/page.
//
// The files:
//
//	wire.go      subjects, queue groups, services, headers, deadlines, ages; times on the bus
//	envelope.go  Reply: the envelope of a page, on the bus as in memcached
//	gzip.go      its compressed body
//	code.go      errors: code, sentinel and HTTP status in one table
//	action.go    changes: names, keys, bounds, what is wrong with a form
//	change.go    change notices and heartbeats
//	upload.go    uploads: chunks, how they end, what happens meanwhile
//	fill.go      notes to cachefills
//	fresh.go     the read-your-writes token
//	popular.go   popularity lists
//	clock.go     cluster time
//	access.go    what each role may publish and subscribe
//	reply.go     reply subjects that a service may answer to
package wire

package renderer

import (
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// job is a request on its way through the service. Each of its parts has one owner.
type job struct {
	request       // what was asked: written by receive, then only read
	admitted bool // given to a pool; receive's, before it does so
	work     work // that of the goroutine that handles the job: receive, then a worker

	// The pool's, under its mutex.
	reading bool // the job is the first of a batch whose query is running

	// Service.abandoned's, under its mutex.
	lost bool  // nobody waits for the answer any more
	turn *turn // of the worker that took the job; nil before
}

// request is what a message on the bus asks for.
type request struct {
	ref      page.Ref // the page or picture; the zero Ref for an action
	action   *action  // what concerns one person or attempt; nil for all else
	id       string   // shared by the visitor, the logs and the reply
	trace    wire.Trace
	subject  string
	reply    string // the subject that the requester listens to
	gzip     bool   // the requester accepts a compressed body
	wants    wire.Conditions
	endpoint *endpoint
	arrived  time.Time
	deadline time.Time // by this machine's clock; afterwards the answer is useless
}

// work is what was done for a job.
type work struct {
	timing   wire.Timing
	answered bool   // a reply was sent
	passedOn bool   // the worker gives the job to another pool
	refusal  []byte // the page of a form that something is wrong with; nil: there is none
}

// mayBeDropped reports whether the request need not be answered when its visitor has left.
func (j *job) mayBeDropped() bool { return j.action == nil || j.action.dropped }

// link names the link that shows what was asked for; "": none does.
func (j *job) link() string {
	if j.action == nil {
		return ""
	}
	return j.action.link
}

// same reports whether one answer serves both jobs. It never does for actions.
func (j *job) same(other *job) bool {
	return j == other || j.action == nil && other.action == nil && j.ref == other.ref
}

// joins reports whether a worker that takes j can answer other with it: they ask for the same page, or one query reads
// both pages.
func (j *job) joins(other *job) bool {
	return j.same(other) || batchable(j.ref.Kind()) && j.ref.Kind() == other.ref.Kind()
}

// batchable reports whether one query reads several pages of a kind, see [Pages.draft], or the rows of several
// pictures. It does for the kinds asked for most.
func batchable(kind page.Kind) bool {
	return kind == page.KindUser || kind == page.KindPhoto || kind == page.KindImage
}

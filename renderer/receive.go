package renderer

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// job is a request on its way through the service. It is held by one goroutine at a time: the subscription's, the pool's, a worker's.
type job struct {
	ref      page.Ref // what is asked for; the zero Ref for an action
	action   *action  // what is to be changed; nil for all else
	subject  string
	reply    string // the subject that is waited on
	request  string // the id that the visitor, the logs and the reply share
	gzip     bool   // its sender can use a packed body
	endpoint *endpoint
	arrived  time.Time
	limit    time.Duration // how long after its arrival an answer is worth waiting for, at most
	deadline time.Time     // when the answer is worthless, by this machine's clock
	taken    time.Time     // by a worker; zero before
	timing   wire.Timing
	queued   bool // given to the pool
	answered bool
	passedOn bool // its worker gives it to another pool
	reading  bool // the pool's: the first of a batch whose query is under way

	abandoned bool  // nobody waits any more; this and turn belong to Service.abandoned
	turn      *turn // of the worker that took it
}

// same reports whether one answer does for both. It never does for actions: each has a key of its own.
func (j *job) same(other *job) bool {
	return j == other || j.action == nil && other.action == nil && j.ref == other.ref
}

// joins reports whether a worker that takes j can answer other with it: when it is the same page, or when one query reads both.
func (j *job) joins(other *job) bool {
	return j.same(other) || batched(j.ref.Kind()) && j.ref.Kind() == other.ref.Kind()
}

// batched reports whether several pages of a kind are read by one query, see [Service.draft]. It is so for the most asked for.
func batched(kind page.Kind) bool { return kind == page.KindUser || kind == page.KindPhoto }

// receive judges a request and hands it to the pool. It runs in its subscription's goroutine, one request at a time, and waits for
// nothing.
func (s *Service) receive(e *endpoint, msg *nats.Msg) {
	if msg.Reply == "" {
		return // published, not requested: nobody would read the answer
	}
	now := time.Now()
	j := &job{
		subject:  msg.Subject,
		reply:    msg.Reply,
		request:  msg.Header.Get(wire.HeaderRequest),
		gzip:     msg.Header.Get(wire.HeaderAccept) == wire.EncodingGzip,
		endpoint: e,
		arrived:  now,
	}
	if j.request == "" {
		j.request = rand.Text()[:12] // asked by hand: the reply and the log share an id all the same
	}
	err := e.parse(j, msg)
	if err != nil {
		s.refuse(j, err)
		return
	}
	if j.deadline, err = s.deadline(j.limit, msg.Header.Get(wire.HeaderDeadline), now); err != nil {
		s.refuse(j, err)
		return
	}
	if !j.deadline.After(now) {
		s.refuse(j, wire.ErrExpired)
		return
	}
	j.queued = true
	e.stats.enqueued()
	if j.action == nil {
		s.abandoned.held(j)
	}
	if excess := e.pool.put(j); excess != nil {
		s.refuse(excess, wire.ErrBusy)
	}
}

// parsePage reads what is asked for from a request's subject.
func parsePage(j *job, msg *nats.Msg) (err error) {
	if j.ref, err = page.ParseSubject(msg.Subject); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrBadRequest, err)
	}
	j.limit = wire.Deadline(j.ref)
	return nil
}

// deadline turns the header's moment, which is in cluster time, into one of this machine's clock: limit from now when there is no header,
// and never later than that, so that no request can hold a worker longer than the design allows.
func (s *Service) deadline(limit time.Duration, header string, now time.Time) (time.Time, error) {
	latest := now.Add(limit)
	if header == "" {
		return latest, nil
	}
	at, ok := wire.ParseTime(header)
	if !ok {
		return latest, fmt.Errorf("%w: %s is no time: %.40q", wire.ErrBadRequest, wire.HeaderDeadline, header)
	}
	if left := at.Sub(now.Add(s.clock.Offset())); left < latest.Sub(now) {
		return now.Add(left), nil
	}
	return latest, nil
}

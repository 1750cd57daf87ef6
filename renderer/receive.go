package renderer

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// receive parses a request, checks its deadline and puts it into the endpoint's pool, or refuses it. It runs in the
// goroutine of its subscription, one request at a time, and never blocks.
func (s *Service) receive(e *endpoint, msg *nats.Msg) {
	if !wire.ValidReply(msg.Reply) { // or there is none: nobody would read the answer
		s.log.Debug("dropped a request without an inbox", "subject", msg.Subject, "reply", msg.Reply)
		return
	}
	now := time.Now()
	j := &job{request: request{
		id:       msg.Header.Get(wire.HeaderRequest),
		subject:  msg.Subject,
		reply:    msg.Reply,
		gzip:     msg.Header.Get(wire.HeaderAccept) == wire.EncodingGzip,
		endpoint: e,
		arrived:  now,
	}}
	j.trace, _ = wire.ParseTrace(msg.Header.Get(wire.HeaderTrace))
	if j.id == "" {
		j.id = rand.Text()[:12] // for a request by hand, so that its reply and the log share an id too
	}
	asked, err := e.parse(msg)
	if err != nil {
		s.refuse(j, err)
		return
	}
	j.ref, j.action = asked.ref, asked.action
	if j.wants, err = wire.ParseConditions(msg.Header); err != nil {
		s.refuse(j, fmt.Errorf("%w: %w", wire.ErrBadRequest, err))
		return
	}
	if j.deadline, err = s.deadline(asked.limit, msg.Header.Get(wire.HeaderDeadline), now); err != nil {
		s.refuse(j, err)
		return
	}
	if !j.deadline.After(now) {
		s.refuse(j, wire.ErrExpired)
		return
	}
	j.admitted = true
	e.stats.enqueued()
	if j.mayBeDropped() {
		s.abandoned.add(j)
	}
	if excess := e.pool.put(j); excess != nil {
		s.refuse(excess, wire.ErrBusy)
	}
}

// parsed is what an endpoint reads from a message.
type parsed struct {
	ref    page.Ref      // the page or picture; the zero Ref for an action
	action *action       // nil for all else
	limit  time.Duration // from arrival, after which the answer is useless
}

// parsePage reads the page or picture from a request's subject.
func parsePage(msg *nats.Msg) (parsed, error) {
	ref, err := page.ParseSubject(msg.Subject)
	if err != nil {
		return parsed{}, fmt.Errorf("%w: %w", wire.ErrBadRequest, err)
	}
	return parsed{ref: ref, limit: wire.Deadline(ref)}, nil
}

// deadline converts the header's time, which is cluster time, to this machine's clock. It is at most limit from now,
// which is also the default, so that no request holds a worker longer than its kind may.
func (s *Service) deadline(limit time.Duration, header string, now time.Time) (time.Time, error) {
	latest := now.Add(limit)
	if header == "" {
		return latest, nil
	}
	at, ok := wire.ParseTime(header)
	if !ok {
		return latest, fmt.Errorf("%w: %s is no time: %.40q", wire.ErrBadRequest, wire.HeaderDeadline, header)
	}
	earliest, _ := s.clock.Bounds(now)
	if left := at.Sub(earliest); left < limit {
		return now.Add(left), nil
	}
	return latest, nil
}

package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Bounds of a queue.
const (
	queueSize  = 200 // jobs that wait, and mails under way, most of which wait for their next try
	workers    = 4   // mails made or sent at once: a server that does not answer holds one for each
	jobTimeout = 10 * time.Second
)

// pauses are those between the tries of a mail.
var pauses = [...]time.Duration{5 * time.Second, 30 * time.Second}

// What became of a job.
const (
	Sent    = "sent"
	Nobody  = "nobody"  // there was no mail to send
	Failed  = "failed"  // the mail could not be made, or not sent in any try
	Dropped = "dropped" // the queue was full, or the renderer ended before
)

// Outcomes lists what may become of a job.
func Outcomes() []string { return []string{Sent, Nobody, Failed, Dropped} }

// A Job makes a mail within ten seconds; nil: there is nobody to mail to. It is called once, later.
type Job func(ctx context.Context) (*Mail, error)

// errDropped: the renderer ends.
var errDropped = errors.New("the queue has ended")

// ErrFull is what Put returns when no further job may wait.
var ErrFull = errors.New("too many mails wait to be sent")

// Queue sends mails in the background. Make it with NewQueue; Run sends.
type Queue struct {
	server *Server
	log    *slog.Logger
	count  func(outcome string)
	jobs   chan Job
	turns  chan struct{} // of workers
	pauses []time.Duration

	mu      sync.Mutex
	closed  bool
	closing chan struct{} // closed by Close
}

// NewQueue returns a queue. It tells count what became of each job.
func NewQueue(server *Server, log *slog.Logger, count func(outcome string)) *Queue {
	return &Queue{server: server, log: log, count: count, jobs: make(chan Job, queueSize),
		turns: make(chan struct{}, workers), pauses: pauses[:], closing: make(chan struct{})}
}

// Put queues a job, and waits for nothing. It returns [ErrFull] if it cannot.
func (q *Queue) Put(job Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		select {
		case q.jobs <- job:
			return nil
		default:
		}
	}
	q.count(Dropped)
	return ErrFull
}

// Close has Run return once it has tried each job that waits, once more. Put takes no further ones.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.jobs)
		close(q.closing)
	}
}

// Run sends until Close, or until ctx ends, which drops what waits.
func (q *Queue) Run(ctx context.Context) {
	var running sync.WaitGroup
	underWay := make(chan struct{}, queueSize)
	for job := range q.jobs {
		underWay <- struct{}{}
		running.Go(func() {
			q.do(ctx, job)
			<-underWay
		})
	}
	running.Wait()
}

// do makes and sends one mail. What waits for its next try holds up nobody else.
func (q *Queue) do(ctx context.Context, job Job) {
	var m *Mail
	err := q.inTurn(ctx, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, jobTimeout)
		defer cancel()
		m, err = job(ctx)
		return err
	})
	switch {
	case errors.Is(err, errDropped):
		q.count(Dropped)
		return
	case err == nil && m == nil:
		q.count(Nobody)
		return
	case err == nil:
		err = q.send(ctx, m)
	}
	if err != nil {
		q.count(Failed)
		q.log.Error("a mail is not sent", "err", err)
		return
	}
	q.count(Sent)
}

// inTurn does something as one of the workers.
func (q *Queue) inTurn(ctx context.Context, do func() error) error {
	select {
	case q.turns <- struct{}{}:
		defer func() { <-q.turns }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return errDropped
	}
	return do()
}

// send tries to send a mail until the server takes it or says that it never will. Its error does not tell to whom the
// mail was: the log is read by more people than may know that.
func (q *Queue) send(ctx context.Context, m *Mail) error {
	for tries := 1; ; tries++ {
		last := tries > len(q.pauses) || q.isClosed()
		err := q.inTurn(ctx, func() error { return q.server.send(ctx, m) })
		if err == nil {
			return nil
		}
		final := isFinal(err)
		err = fmt.Errorf("try %d: %s", tries, strings.ReplaceAll(err.Error(), m.To, "(the recipient)"))
		if final || last || !q.pause(ctx, q.pauses[tries-1]) {
			return err
		}
		q.log.Warn("a mail is not sent yet", "err", err)
	}
}

// pause waits before the next try, or until Close; false: ctx has ended.
func (q *Queue) pause(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.closing:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

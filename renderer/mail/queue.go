package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"flickrkillr/schema/sleep"
)

// Bounds of a queue.
const (
	queueSize = 200 // jobs that wait
	workers   = 4   // mails sent at once: a server that does not answer holds one for each
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

// A Job makes a mail; nil: there is nobody to mail to. It is called once, later.
type Job func(ctx context.Context) (*Mail, error)

// ErrFull is what Put returns when no further job may wait.
var ErrFull = errors.New("too many mails wait to be sent")

// Queue sends mails in the background. Make it with NewQueue; Run sends.
type Queue struct {
	server *Server
	log    *slog.Logger
	count  func(outcome string)
	jobs   chan Job
	pauses []time.Duration

	mu     sync.Mutex
	closed bool
}

// NewQueue returns a queue. It tells count what became of each job.
func NewQueue(server *Server, log *slog.Logger, count func(outcome string)) *Queue {
	return &Queue{server: server, log: log, count: count, jobs: make(chan Job, queueSize), pauses: pauses[:]}
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

// Close has Run return once it has tried each job that waits. Put takes no further ones.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.jobs)
	}
}

// Run sends until Close, or until ctx ends, which drops what waits.
func (q *Queue) Run(ctx context.Context) {
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for job := range q.jobs {
				q.do(ctx, job)
			}
		})
	}
	running.Wait()
}

// do makes and sends one mail.
func (q *Queue) do(ctx context.Context, job Job) {
	if ctx.Err() != nil {
		q.count(Dropped)
		return
	}
	m, err := job(ctx)
	if err == nil && m == nil {
		q.count(Nobody)
		return
	}
	if err == nil {
		err = q.send(ctx, m)
	}
	if err != nil {
		q.count(Failed)
		q.log.Error("a mail is not sent", "err", err)
		return
	}
	q.count(Sent)
}

// send tries to send a mail until the server takes it or says that it never will. Its error does not tell to whom the
// mail was: the log is read by more people than may know that.
func (q *Queue) send(ctx context.Context, m *Mail) error {
	for tries := 1; ; tries++ {
		err := q.server.send(ctx, m)
		if err == nil {
			return nil
		}
		final := isFinal(err)
		err = fmt.Errorf("try %d: %s", tries, strings.ReplaceAll(err.Error(), m.To, "(the recipient)"))
		if final || tries > len(q.pauses) || q.isClosed() || !sleep.For(ctx, q.pauses[tries-1]) {
			return err
		}
		q.log.Warn("a mail is not sent yet", "err", err)
	}
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

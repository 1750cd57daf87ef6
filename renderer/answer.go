package renderer

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// answerPages is a turn of a worker for pages, searches or the sitemap.
func (s *Service) answerPages(ctx context.Context, jobs []*job) {
	groups := s.begin(jobs[0].endpoint.pool, jobs)
	if len(groups) == 0 {
		return
	}
	ctx, cancel := s.context(ctx, groups)
	defer cancel()
	refs := make([]page.Ref, len(groups))
	for i, g := range groups {
		refs[i] = g[0].ref
	}
	begun := time.Now()
	drafts, err := s.read(ctx, refs, wantsOf(groups))
	jobs[0].endpoint.pool.read(jobs)
	err = unlessAbandoned(ctx, err)
	sql := time.Since(begun)
	if err != nil && len(groups) > 1 && !isUnavailable(err) && !errors.Is(err, wire.ErrAbandoned) {
		// One page may have made the query fail: answer each alone.
		for _, g := range groups {
			s.answerAlone(ctx, g)
		}
		return
	}
	for i, g := range groups {
		if err != nil {
			s.fail(g, err)
			continue
		}
		s.render(ctx, g, drafts[i], sql)
	}
}

// answerAlone answers the jobs for one page after the query for its batch failed.
func (s *Service) answerAlone(ctx context.Context, g []*job) {
	begun := time.Now()
	drafts, err := s.read(ctx, []page.Ref{g[0].ref}, wantsOf([][]*job{g}))
	if err != nil {
		s.fail(g, unlessAbandoned(ctx, err))
		return
	}
	s.render(ctx, g, drafts[0], time.Since(begun))
}

// begin accounts for jobs that a worker of p took, refuses those that expired or were abandoned in the queue, and
// groups the others by page.
func (s *Service) begin(p *pool, jobs []*job) [][]*job {
	now := time.Now()
	turns := make(map[*endpoint]int, 1)
	var groups [][]*job
	for _, j := range jobs {
		j.work.timing.Queue = now.Sub(j.arrived)
		turns[j.endpoint]++
	}
	for e, n := range turns {
		e.stats.taken(n)
	}
	s.metrics.batch.WithLabelValues(p.name).Observe(float64(len(jobs)))
	waits := s.metrics.waits.WithLabelValues(p.name)
	for _, j := range jobs {
		observe(waits, j.work.timing.Queue, j.id)
		switch {
		case !j.deadline.After(now):
			s.fail([]*job{j}, wire.ErrExpired)
			continue
		case s.abandoned.is(j):
			s.fail([]*job{j}, wire.ErrAbandoned)
			continue
		}
		at := slices.IndexFunc(groups, func(g []*job) bool { return g[0].same(j) })
		if at < 0 {
			groups = append(groups, []*job{j})
		} else {
			groups[at] = append(groups[at], j)
		}
	}
	return groups
}

// context returns a context for a turn. It ends with the latest deadline of the jobs, when all of them are abandoned,
// or when the service stops and its StopTimeout is over. Its queries are shown as those of the first job whose
// trace somebody wants to see.
func (s *Service) context(ctx context.Context, groups [][]*job) (context.Context, context.CancelFunc) {
	last, trace := groups[0][0].deadline, ""
	for _, g := range groups {
		for _, j := range g {
			if trace == "" && j.trace.Sampled() {
				trace = j.trace.ID()
			}
			if j.deadline.After(last) {
				last = j.deadline
			}
		}
	}
	ctx, abandon := context.WithCancelCause(store.WithTrace(ctx, trace))
	s.abandoned.begin(groups, abandon)
	ctx, cancel := context.WithDeadline(ctx, last)
	return ctx, func() { cancel(); abandon(nil) }
}

// render renders a draft and replies to the jobs of g, which all ask for the same page.
func (s *Service) render(ctx context.Context, g []*job, d *draft, sql time.Duration) {
	begun := time.Now()
	buf := s.buffer()
	defer s.recycle(buf)
	reply, err := d.reply(ctx, buf)
	if err != nil {
		s.fail(g, err)
		return
	}
	s.deliver(g, reply, d.source, wire.Timing{SQL: sql, Render: time.Since(begun)})
}

// buffer returns an empty buffer; give it back to recycle.
func (s *Service) buffer() *bytes.Buffer { return s.buffers.Get().(*bytes.Buffer) }

// recycle takes back a buffer that is no longer referenced.
func (s *Service) recycle(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooledBuffer {
		buf.Reset()
		s.buffers.Put(buf)
	}
}

// maxPooledBuffer bounds the buffers that are kept, so that one huge page does not occupy memory for good.
const maxPooledBuffer = 256 << 10

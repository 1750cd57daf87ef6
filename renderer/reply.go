package renderer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// deliver sends the envelope of reply to the requests of g, all for the same page, in the form that each can use.
func (s *Service) deliver(g []*job, reply *wire.Reply, timing wire.Timing) {
	forms := forms{service: s, reply: reply}
	defer forms.recycle() // to publish an envelope is to copy it
	for _, j := range g {
		envelope := forms.of(j)
		j.work.timing.SQL, j.work.timing.Render = timing.SQL, timing.Render
		err := s.send(j, &nats.Msg{
			Subject: j.reply,
			Data:    envelope.Bytes(),
			Header:  nats.Header{wire.HeaderTiming: {j.work.timing.String()}},
		})
		switch {
		case errors.Is(err, nats.ErrMaxPayload):
			s.fail([]*job{j}, fmt.Errorf("%w: an envelope of %d bytes, the bus takes %d", wire.ErrTooLarge,
				envelope.Len(), s.nc.MaxPayload()))
		case err != nil:
			s.fail([]*job{j}, fmt.Errorf("send the reply: %w", err))
		default:
			s.finished(j, reply.Status)
		}
	}
}

// confirm replies to an action that is done with what it changed, and says so to the edges, which hear of it from the
// relay only later.
func (s *Service) confirm(j *job, changes []store.Change) {
	all := make([]wire.Change, len(changes))
	for i, c := range changes {
		all[i] = wire.Change(c)
	}
	data := wire.EncodeChanges(all)
	if err := s.nc.Publish(wire.SubjectHint, data); err != nil {
		s.log.Debug("hint: not published", "err", err) // the relay will tell
	}
	err := s.send(j, &nats.Msg{Subject: j.reply, Data: data,
		Header: nats.Header{wire.HeaderTiming: {j.work.timing.String()}}})
	if err != nil {
		s.fail([]*job{j}, fmt.Errorf("send the reply: %w", err))
		return
	}
	s.finished(j, http.StatusOK)
}

// send publishes a reply to j. It is refused, with nats.ErrMaxPayload, before anything is sent when it is larger than
// the bus takes.
func (s *Service) send(j *job, msg *nats.Msg) error {
	msg.Header.Set(wire.HeaderWorker, s.id)
	msg.Header.Set(wire.HeaderRequest, j.id)
	return s.nc.PublishMsg(msg)
}

// finished accounts for a request that was answered with an envelope of this status, or with an action's changes.
func (s *Service) finished(j *job, status int) {
	s.settle(j)
	now := time.Now()
	whole := now.Sub(j.arrived)
	j.endpoint.stats.answered(now, whole, j.work.timing.Queue, "")
	code := "ok"
	if status >= 400 && j.ref.Kind() != page.KindError {
		code = wire.Code(wire.ErrNotFound)
	}
	s.metrics.observe(j.endpoint.name, code, whole)
	level := slog.LevelDebug
	if whole > s.cfg.SlowAfter {
		level = slog.LevelWarn
	}
	if !s.log.Enabled(context.Background(), level) {
		return
	}
	s.log.LogAttrs(context.Background(), level, "answered",
		slog.String("request", j.id), slog.String("subject", j.subject), slog.Int("status", status),
		slog.Duration("took", whole),
		slog.Duration("queue", j.work.timing.Queue), slog.Duration("sql", j.work.timing.SQL),
		slog.Duration("render", j.work.timing.Render))
}

// fail answers the requests of g, which a worker holds, with err.
func (s *Service) fail(g []*job, err error) {
	for _, j := range g {
		now := time.Now()
		code := wire.Code(err)
		j.endpoint.stats.answered(now, now.Sub(j.arrived), j.work.timing.Queue, code)
		s.replyError(j, code, err)
	}
}

// refuse answers a request that no worker took with err.
func (s *Service) refuse(j *job, err error) {
	code := wire.Code(err)
	j.endpoint.stats.refused(code, j.admitted)
	s.replyError(j, code, err)
}

func (s *Service) replyError(j *job, code string, err error) {
	s.settle(j)
	s.metrics.observe(j.endpoint.name, code, time.Since(j.arrived))
	if isPanic(err) {
		s.metrics.panics.Inc()
	}
	attrs := []slog.Attr{
		slog.String("request", j.id), slog.String("subject", j.subject), slog.String("code", code),
		slog.Duration("took", time.Since(j.arrived)), slog.Any("err", err),
	}
	if stack := stackOf(err); stack != "" {
		attrs = append(attrs, slog.String("stack", stack))
	}
	s.log.LogAttrs(context.Background(), s.level(code, err), "not answered", attrs...)
	if err := s.send(j, wire.ErrorMsg(j.reply, err)); err != nil {
		s.log.Warn("send an error", "request", j.id, "subject", j.subject, "err", err)
	}
}

// settle notes that a request has its answer.
func (s *Service) settle(j *job) {
	j.work.answered = true
	if j.admitted && j.action == nil {
		s.abandoned.remove(j)
	}
}

// level keeps the log for those who can do something about it. A form that was filled in wrongly is its requester's
// business, and so are a photo that is gone and a key used twice. An overload must not drown the rest: of busy and
// expired requests one a second is a warning, and one that was abandoned had its visitor leave. All are in the
// statistics.
func (s *Service) level(code string, err error) slog.Level {
	if _, ok := errors.AsType[*wire.InputError](err); ok || errors.Is(err, wire.ErrNotFound) ||
		errors.Is(err, wire.ErrConflict) {
		return slog.LevelInfo
	}
	if errors.Is(err, wire.ErrAbandoned) {
		return slog.LevelDebug
	}
	if code != wire.Code(wire.ErrBusy) && code != wire.Code(wire.ErrExpired) {
		return slog.LevelWarn
	}
	now, last := time.Now().Unix(), s.warned.Load()
	if now != last && s.warned.CompareAndSwap(last, now) {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

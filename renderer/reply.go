package renderer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// deliver sends reply to the jobs of g, all for the same page, in the form that each accepts. It sets reply.Key. source
// is that of the rows, see wire.HeaderSource.
func (s *Service) deliver(g []*job, reply *wire.Reply, source string, timing wire.Timing) {
	reply.Key = g[0].ref.Key()
	forms := forms{service: s, reply: reply}
	defer forms.recycle() // publishing copies the envelope
	for _, j := range g {
		envelope := forms.of(j)
		j.work.timing.SQL, j.work.timing.Render = timing.SQL, timing.Render
		header := nats.Header{wire.HeaderTiming: {j.work.timing.String()}}
		if source != "" {
			header.Set(wire.HeaderSource, source)
		}
		err := s.send(j, &nats.Msg{Subject: j.reply, Data: envelope.Bytes(), Header: header})
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

// confirm replies to an action with the scopes it changed, or with a page. It first publishes the changes as an early
// invalidation, since the relay tells the edges later.
func (s *Service) confirm(j *job, out *outcome, html []byte) {
	all := make([]wire.Change, len(out.changes))
	for i, c := range out.changes {
		all[i] = wire.Change(c)
	}
	msg := &nats.Msg{Subject: j.reply, Data: wire.EncodeChanges(all),
		Header: nats.Header{wire.HeaderTiming: {j.work.timing.String()}}}
	s.invalidateEarly(all)
	if out.data != nil {
		msg.Data = out.data
	}
	out.uploaded(msg.Header)
	if out.view != nil {
		msg.Data = html
		msg.Header.Set(wire.HeaderStatus, strconv.Itoa(http.StatusOK))
		msg.Header.Set(wire.HeaderChanged, wire.FormatChanges(all))
	}
	if out.account != nil {
		msg.Header.Set(wire.HeaderAccount, out.account.String())
	}
	if out.receipt != "" {
		msg.Header.Set(wire.HeaderReceipt, out.receipt)
	}
	if out.seen != "" {
		msg.Header.Set(wire.HeaderVisibility, out.seen)
	}
	if out.grant != "" {
		msg.Header.Set(wire.HeaderGrant, out.grant)
	}
	if out.owner != 0 {
		msg.Header.Set(wire.HeaderUser, strconv.FormatInt(out.owner, 10))
	}
	if err := s.send(j, msg); err != nil {
		s.fail([]*job{j}, fmt.Errorf("send the reply: %w", err))
		return
	}
	s.finished(j, http.StatusOK)
}

// invalidateEarly tells edges of changes before the relay does. It may get lost: the stream delivers the changes.
func (s *Service) invalidateEarly(changes []wire.Change) {
	if len(changes) == 0 {
		return
	}
	if err := s.nc.Publish(wire.SubjectEarlyInvalidation, wire.EncodeChanges(changes)); err != nil {
		s.log.Debug("early invalidation not published", "err", err)
	}
}

// send publishes a reply to j. A message larger than the bus takes fails with nats.ErrMaxPayload before anything is
// sent.
func (s *Service) send(j *job, msg *nats.Msg) error {
	msg.Header.Set(wire.HeaderWorker, s.id)
	msg.Header.Set(wire.HeaderRequest, j.id)
	return cmp.Or(j.endpoint.bus, s.nc).PublishMsg(msg)
}

// finished counts and logs a request that was answered with an envelope of this status, or with an action's changes.
func (s *Service) finished(j *job, status int) {
	s.settle(j)
	now := time.Now()
	whole := now.Sub(j.arrived)
	j.endpoint.stats.answered(now, whole, j.work.timing.Queue, "")
	code := "ok"
	if status >= 400 && j.ref.Kind() != page.KindError {
		code = wire.Code(wire.ErrNotFound)
	}
	s.metrics.observe(j.endpoint.name, code, j.id, whole)
	level := slog.LevelDebug
	if whole > s.cfg.SlowAfter {
		level = slog.LevelWarn
	}
	if !s.log.Enabled(context.Background(), level) {
		return
	}
	s.log.LogAttrs(context.Background(), level, "answered",
		slog.String("request", j.id), j.trace.Attr(), slog.String("subject", j.subject),
		slog.Int("status", status), slog.Duration("took", whole),
		slog.Duration("queue", j.work.timing.Queue), slog.Duration("sql", j.work.timing.SQL),
		slog.Duration("render", j.work.timing.Render))
}

// fail replies err to the jobs of g, which a worker has taken.
func (s *Service) fail(g []*job, err error) {
	for _, j := range g {
		now := time.Now()
		code := wire.Code(err)
		j.endpoint.stats.answered(now, now.Sub(j.arrived), j.work.timing.Queue, code)
		s.replyError(j, code, err)
	}
}

// refuse replies err to a job that no worker took.
func (s *Service) refuse(j *job, err error) {
	code := wire.Code(err)
	j.endpoint.stats.refused(code, j.admitted)
	s.replyError(j, code, err)
}

// replyError sends, counts and logs an error.
func (s *Service) replyError(j *job, code string, err error) {
	s.settle(j)
	s.metrics.observe(j.endpoint.name, code, j.id, time.Since(j.arrived))
	if isPanic(err) {
		s.metrics.panics.Inc()
	}
	attrs := []slog.Attr{
		slog.String("request", j.id), j.trace.Attr(), slog.String("subject", j.subject),
		slog.String("code", code), slog.Duration("took", time.Since(j.arrived)), slog.Any("err", err),
	}
	if stack := stackOf(err); stack != "" {
		attrs = append(attrs, slog.String("stack", stack))
	}
	s.log.LogAttrs(context.Background(), s.level(code, err), "request failed", attrs...)
	msg := wire.ErrorMsg(j.reply, err)
	if j.work.refusal != nil {
		msg.Data = j.work.refusal
		msg.Header.Set(wire.HeaderStatus, strconv.Itoa(http.StatusUnprocessableEntity))
	}
	if err := s.send(j, msg); err != nil {
		s.log.Warn("error not sent", "request", j.id, "subject", j.subject, "err", err)
	}
}

// settle marks a request as answered.
func (s *Service) settle(j *job) {
	j.work.answered = true
	if j.admitted && j.mayBeDropped() {
		s.abandoned.remove(j)
	}
}

// level is the log level of an error. Wrong input, photos that do not exist and keys used twice are the requester's
// business: info. Of busy and expired requests one a second is a warning, so that an overload does not hide the rest.
// An abandoned request means that the visitor left: debug. The statistics have all of them.
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

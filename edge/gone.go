package edge

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// answerGone answers questions about what is gone, see wire.SubjectGone. The caller calls stop, also after an error.
func (s *Server) answerGone() (stop func(), err error) {
	key := listKey(s.Addr())
	sub, err := s.cfg.NATS.Subscribe(wire.SubjectGone, func(m *nats.Msg) {
		if !wire.ValidReply(m.Reply) {
			s.log.Debug("dropped a request without an inbox", "subject", m.Subject, "reply", m.Reply)
			return
		}
		question, err := wire.DecodeGoneQuestion(m.Data)
		if err != nil {
			s.log.Debug("dropped a question about what is gone", "err", err)
			return
		}
		answer := wire.GoneAnswer{Edge: key}
		if s.feed.CaughtUp() {
			answer.Since = s.pages.tracker.GoneSince(question.Scope, question.Version, question.At)
		}
		data, err := answer.Encode()
		if err == nil {
			err = m.Respond(data)
		}
		if err != nil {
			s.log.Warn("cannot say what is gone", "err", err)
		}
	})
	if err != nil {
		return func() {}, fmt.Errorf("subscribe to %s: %w", wire.SubjectGone, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // a closed connection has ended it
}

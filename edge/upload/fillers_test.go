package upload

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/wire"
)

// TestSlowSendersOfOneUser: senders of one user who send nothing hold few buffers, and others get theirs. Those that
// wait for too long are told to come again.
func TestSlowSendersOfOneUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{
			Ask: func(context.Context, *nats.Msg, time.Duration, time.Duration) (*nats.Msg, error) {
				return nats.NewMsg("x"), nil
			},
			Received: prometheus.NewCounter(prometheus.CounterOpts{}),
		})
		const senders = fillsOfUser + 3
		silent, results := make([]*io.PipeWriter, senders), make(chan error, senders)
		receive := func(user int64, id string, body io.Reader) error {
			pace := &pacedBody{Reader: body, deadline: func(time.Time) error { return nil }}
			_, err := s.receive(t.Context(), upload{user, id}, part{body: pace, pace: pace, end: wire.MaxChunk})
			return err
		}
		for i := range senders {
			var body *io.PipeReader
			body, silent[i] = io.Pipe()
			go func() { results <- receive(7, string(rune('a'+i)), body) }()
		}
		synctest.Wait()
		if n := s.buffers.taken(buffersOfEdge); n != fillsOfUser {
			t.Errorf("%d senders hold %d buffers, want %d", senders, n, fillsOfUser)
		}
		other, end := io.Pipe()
		go func() {
			_, _ = end.Write(make([]byte, wire.MaxChunk)) // a failure is that of receive
			_ = end.Close()
		}()
		if err := receive(8, "z", other); err != nil {
			t.Errorf("another user: %v", err)
		}
		for range senders - fillsOfUser {
			if err := <-results; !errors.Is(err, wire.ErrBusy) {
				t.Errorf("a sender that waits too long: %v", err)
			}
		}
		for _, w := range silent {
			_ = w.Close()
		}
		for range fillsOfUser {
			<-results
		}
		if n, users := s.buffers.taken(buffersOfEdge), len(s.fillers.all); n != 0 || users != 0 {
			t.Errorf("afterwards %d buffers are taken, by %d users", n, users)
		}
	})
}

// TestWaitForBuffer: who waits too long for a buffer that nobody gives back is told to come again.
func TestWaitForBuffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Service{buffers: newBuffers(0), fillers: newFillers()}
		_, _, err := s.bufferOf(t.Context(), 7, true)
		if !errors.Is(err, wire.ErrBusy) || len(s.fillers.all) != 0 || len(s.buffers.first) != 0 {
			t.Errorf("%v; %d users, %d wait", err, len(s.fillers.all), len(s.buffers.first))
		}
	})
}

package renderer

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/wire"
)

// slowStream is a stream that acknowledges each message only after one and a half times the time that a new batch waits
// for it.
type slowStream struct{ jetstream.JetStream }

func (s slowStream) PublishMsg(
	ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt,
) (*jetstream.PubAck, error) {
	ack, err := s.JetStream.PublishMsg(ctx, m, opts...)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(storeLimit * 3 / 2):
		return ack, nil
	}
}

// TestSlowStream: a stream that is slower than the relay waits for with a new batch has all nevertheless in the end,
// and a heartbeat says so, by which edges begin.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.retitle(t, "a change that waits")
	heartbeats := follow(t, st, wire.SubjectHeartbeat)
	s := st.service(t, nil)
	s.relay.js = slowStream{s.relay.js}
	run(t, s)
	hung := time.After(30 * time.Second)
	for {
		select {
		case m := <-heartbeats:
			heartbeat, err := wire.DecodeHeartbeat(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			if !heartbeat.Unstored {
				return
			}
		case <-hung:
			t.Fatal("no heartbeat says that the stream has all")
		}
	}
}

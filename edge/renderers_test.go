package edge

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestAskAgain: a request that gets no reply is made again once half of its time has passed, but not one for a hash,
// which would only stand in the queue twice.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATSServer(t).URL())
	r := newRenderers(nc, &wire.Clock{}, newMetrics(prometheus.NewRegistry()))
	for action, again := range map[string]bool{
		wire.ActionProfileEdit: true, wire.ActionSignUp: false, wire.ActionSignIn: false, wire.ActionRecover: false,
		wire.ActionPassword: false,
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			asked, err := nc.SubscribeSync(wire.ActionSubject(action))
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.ask(t.Context(), &nats.Msg{Subject: wire.ActionSubject(action), Header: nats.Header{}},
				400*time.Millisecond)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("without a reply: %v", err)
			}
			if n, _, err := asked.Pending(); err != nil || n == 0 || n > 1 != again {
				t.Errorf("asked %d times, %v", n, err)
			}
		})
	}
}

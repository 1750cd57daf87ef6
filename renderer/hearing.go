package renderer

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// hearAgain is how long no heartbeat comes until the service subscribes anew.
const hearAgain = 10 * time.Second

// hearHeartbeats subscribes to the heartbeats of relays, by which the service knows the cluster's time and which relay
// is active.
func (s *Service) hearHeartbeats() (err error) {
	s.heartbeats, err = s.nc.Subscribe(wire.SubjectLiveHeartbeat, s.hearHeartbeat)
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", wire.SubjectLiveHeartbeat, err)
	}
	return nil
}

func (s *Service) hearHeartbeat(m *nats.Msg) {
	heartbeat, err := wire.DecodeHeartbeat(m.Data)
	if err != nil {
		s.log.Warn("cannot read a heartbeat", "err", err)
		return
	}
	s.clock.Observe(heartbeat, time.Now())
	s.relay.hearHeartbeat(m.Header.Get(wire.HeaderWorker))
}

// keepHearing subscribes anew, until ctx ends, when no heartbeat has come for s.hearAgain, although a relay sends one a
// second: then NATS may have refused the subscription, which it tells nobody that waits, and take it since its
// configuration was loaded again. A renderer that hears none never takes its relay for the active one, and lets all of
// them send heartbeats.
func (s *Service) keepHearing(ctx context.Context) {
	defer func() { _ = s.heartbeats.Unsubscribe() }()
	for sleep.For(ctx, s.hearAgain) {
		if monotonic.Since(s.relay.heardAt.Load()) < s.hearAgain {
			continue
		}
		_ = s.heartbeats.Unsubscribe()
		if err := s.hearHeartbeats(); err != nil { // the connection is closed
			s.log.Warn("this renderer hears no heartbeats", "err", err)
			return
		}
	}
}

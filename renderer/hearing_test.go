package renderer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestHeartbeatsAreRefused: NATS with the permissions of the release before refuses heartbeats to a renderer. Once it
// has loaded the new ones, the renderer hears its own heartbeat, and its relay is active.
func TestHeartbeatsAreRefused(t *testing.T) {
	t.Parallel()
	table := wire.AccessTable()
	for i := range table {
		table[i].Subscribe = slices.DeleteFunc(table[i].Subscribe, func(l wire.Listen) bool {
			return table[i].Role == wire.RoleRenderer && l.Subject == wire.SubjectLiveHeartbeat
		})
	}
	old, err := stack.Users(table, testenv.Seeds(t))
	if err != nil {
		t.Fatal(err)
	}
	now := testenv.NATSUsers(t)
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true,
		StoreDir: t.TempDir(), Nkeys: append(old, now[len(now)-1])} // the last may do everything
	n, err := server.NewServer(options.Clone())
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	t.Cleanup(func() { n.Shutdown(); n.WaitForShutdown() })
	if !n.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not start")
	}
	st := newSiteOn(t, n.ClientURL(), testenv.Database(t))
	login := stack.Login{URL: st.url, Role: wire.RoleRenderer, Seed: testenv.Seeds(t)[wire.RoleRenderer]}
	bus, err := stack.JoinBus(login, t.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	s := st.service(t, func(c *Config) { c.NATS = bus.Conn })
	s.hearAgain = 100 * time.Millisecond
	run(t, s)
	eventually(t, 30*time.Second, func() error {
		if len(bus.Refused()) == 0 {
			return errors.New("nothing is refused")
		}
		return nil
	})
	if s.relay.active.Load() {
		t.Error("the relay is active, although its renderer hears no heartbeat")
	}
	options.Nkeys = now
	if err := n.ReloadOptions(options); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		if !s.relay.active.Load() {
			return errors.New("the relay is not active")
		}
		return nil
	})
}

package chaos

import (
	"context"
	"net"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// joinBus signs in to the bus of a row as an audit. leave ends the connection.
func (s *scene) joinBus() (nc *nats.Conn, leave func(), err error) {
	if s.dial != nil {
		if nc, err = s.connect(wire.RoleAudit); err != nil {
			return nil, nil, err
		}
		return nc, nc.Close, nil
	}
	bus, err := stack.JoinBus(s.at.Login(wire.RoleAudit), "chaos", s.log)
	if err != nil {
		return nil, nil, err
	}
	return bus.Conn, bus.Close, nil
}

// connect signs in to the bus of machines.
func (s *scene) connect(role wire.Role) (*nats.Conn, error) {
	return stack.Connect(s.at.Login(role), "chaos", s.log, nats.SetCustomDialer(busDialer(s.dial)))
}

// busDialer dials for a client of NATS.
type busDialer func(ctx context.Context, network, addr string) (net.Conn, error)

// dialLimit bounds how long a nats-server may take to take a connection; then the next one is tried.
const dialLimit = 2 * time.Second

func (d busDialer) Dial(network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	return d(ctx, network, addr)
}

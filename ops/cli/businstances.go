package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"flickrkillr/ops/pool"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/wire"
)

// connectWait bounds how long the bus may take to take a connection.
const connectWait = 10 * time.Second

// busInstancesCommand prints what each role says of itself, for `killr deploy`.
type busInstancesCommand struct {
	busFlags
}

func (c *busInstancesCommand) Run(s *session) error {
	bus, err := c.join(s, wire.RoleOperator, "instances")
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := bus.FlushTimeout(connectWait); err != nil {
		if down := bus.Down(); down != nil {
			return down
		}
		return fmt.Errorf("connect to NATS: %w", err)
	}
	shot, err := pool.NewGatherer(bus.Conn, "").Gather(s.ctx)
	if err != nil {
		return err
	}
	all := []discovery.Statistics{}
	for _, i := range shot.Instances {
		all = append(all, i.Statistics)
	}
	return json.NewEncoder(s.stdout).Encode(all)
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/wire"
)

const (
	// connectWait bounds how long the bus may take to take a connection.
	connectWait = 10 * time.Second
	// quietWait is how long after the last answer the roles have all answered: each does within milliseconds, but for
	// one that gets no processor.
	quietWait = 300 * time.Millisecond
	// answersWait bounds all answers.
	answersWait = 5 * time.Second
)

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
	inbox, err := bus.SubscribeSync(bus.NewInbox())
	if err != nil {
		return err
	}
	if err := bus.PublishRequest(micro.APIPrefix+"."+micro.StatsVerb.String(), inbox.Subject, nil); err != nil {
		return err
	}
	all := []json.RawMessage{}
	for end := time.Now().Add(answersWait); time.Now().Before(end); {
		answer, err := inbox.NextMsg(quietWait)
		if errors.Is(err, nats.ErrTimeout) {
			break
		}
		if err != nil {
			return err
		}
		if len(answer.Data) > 0 && json.Valid(answer.Data) { // without data: nobody is there to answer
			all = append(all, answer.Data)
		}
	}
	return json.NewEncoder(s.stdout).Encode(all)
}

package cli

import (
	"os"
	"time"

	"golang.org/x/term"

	"flickrkillr/ops/pool"
	"flickrkillr/schema/wire"
)

type topCommand struct {
	busFlags
	Once  bool          `help:"Print what there is once, after two rounds of questions, and end. Each waits up to 4 s for roles that answer late."`
	Every time.Duration `default:"1s" min:"100ms" max:"1h" placeholder:"TIME" help:"Time between views (default ${default})."`
}

// Run shows who is on the bus and what they do, as the page /pool does.
func (c *topCommand) Run(s *session) error {
	bus, err := c.join(s, wire.RoleOperator, "top")
	if err != nil {
		return err
	}
	defer bus.Close()
	terminal, ok := s.stdout.(*os.File)
	return pool.Top(s.ctx, pool.TopConfig{
		Bus: bus, NATS: bus.Conn, Out: s.stdout, Redraw: ok && term.IsTerminal(int(terminal.Fd())), Once: c.Once,
		Every: c.Every,
	})
}

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// busCommand is about what each role may do on the bus.
type busCommand struct {
	Check     busCheckCommand     `cmd:"" help:"Print what each role may publish and subscribe to, and try it on the running bus."`
	Config    busConfigCommand    `cmd:"" help:"Print the part of nats-server's configuration by which the roles sign in."`
	Instances busInstancesCommand `cmd:"" hidden:"" help:"Print what each role says of itself, as JSON, for 'deploy'."`
	Server    busServerCommand    `cmd:"" hidden:"" help:"Run a nats-server, on a machine of a site."`
	Serve     busServeCommand     `cmd:"" hidden:"" help:"Run the bus alone, or one server of it, for the ladder, the benchmark and chaos."`
}

// busFlags are the flags of a command that needs the bus and nothing else.
type busFlags struct {
	NATS     string `env:"NATS_URL" placeholder:"URL" help:"Address of NATS, the bus; of a cluster all, separated by commas, the nearest first (default: as in the data directory's stack.env)."`
	NATSSeed string `type:"path" placeholder:"FILE" help:"File with the nkey seed by which this command signs in to NATS (default: as in the data directory, for the NATS of its stack.env; a NATS that asks nobody who they are needs none)."`
	NATSCA   string `name:"nats-ca" type:"path" placeholder:"FILE" help:"File with the certificates, in PEM, that sign those of NATS: speak TLS with it (default: only if NATS asks for TLS, by the certificates of this machine)."`
}

// join connects to the bus as a role. name is that of the program.
func (f *busFlags) join(s *session, role wire.Role, name string) (*stack.Bus, error) {
	at := services{NATS: f.NATS, NATSSeed: f.NATSSeed, NATSCA: f.NATSCA}
	if err := at.find(s.data, "--nats", role); err != nil {
		return nil, err
	}
	return stack.JoinBus(at.env(role).Login(role), name, s.log)
}

type busCheckCommand struct {
	NATS   string `env:"NATS_URL" placeholder:"URL" help:"Address of NATS, the bus (default: as in the data directory's stack.env). The seeds of all roles are read from the data directory."`
	NATSCA string `name:"nats-ca" type:"path" placeholder:"FILE" help:"File with the certificates, in PEM, that sign those of NATS: speak TLS with it (default: only if NATS asks for TLS, by the certificates of this machine)."`
}

// errAccess makes the exit status 1; the list before it says what differs.
var errAccess = errors.New("the bus does not do as the table says")

func (c *busCheckCommand) Run(s *session) error {
	at := services{NATS: c.NATS}
	if err := at.find(s.data, "--nats", ""); err != nil {
		return err
	}
	seeds := stack.SeedsIn(s.data)
	if seeds == nil {
		return fmt.Errorf(
			"%s has no seeds of the roles: say --data, the data directory of `killr up` or `killr bus config`", s.data,
		)
	}
	table := wire.AccessTable()
	out := bufio.NewWriter(s.stdout)
	defer out.Flush()
	for _, a := range table {
		printAccess(out, a)
	}
	trials, err := stack.CheckAccess(s.ctx, stack.Env{NATS: at.NATS, NATSCA: c.NATSCA, Seeds: seeds}, table)
	if err != nil {
		return err
	}
	allowed, wrong := 0, 0
	for _, t := range trials {
		if t.Allowed {
			allowed++
		}
		if t.Allowed != t.Named {
			wrong++
			fmt.Fprintln(out, t)
		}
	}
	fmt.Fprintf(out, "tried %d on %s: %d allowed, %d refused, %d not as the table says\n",
		len(trials), stack.Redact(at.NATS), allowed, len(trials)-allowed, wrong)
	if wrong > 0 {
		return errAccess
	}
	return nil
}

// printAccess prints what one role may do.
func printAccess(out io.Writer, a wire.Access) {
	fmt.Fprintln(out, a.Role)
	column := func(title string, subjects []string) {
		for _, s := range subjects {
			fmt.Fprintf(out, "  %-9s  %s\n", title, s)
			title = ""
		}
	}
	column("publish", a.Publish)
	var subscribe []string
	for _, l := range a.Subscribe {
		if l.Queue != "" {
			l.Subject = fmt.Sprintf("%-40s  queue group %s", l.Subject, l.Queue)
		}
		subscribe = append(subscribe, l.Subject)
	}
	column("subscribe", subscribe)
	if a.Answers > 0 {
		column("answer", []string{fmt.Sprintf("each request, within %s", a.Answers)})
	}
	fmt.Fprintln(out)
}

type busConfigCommand struct{}

// Run makes the seeds if there are none: whoever runs a NATS of their own has no `up` that does.
func (c *busConfigCommand) Run(s *session) error {
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		return err
	}
	seeds, err := stack.MakeSeeds(s.data)
	if err != nil {
		return err
	}
	return stack.WriteAuthorization(s.stdout, seeds)
}

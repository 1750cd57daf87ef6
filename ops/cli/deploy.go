package cli

import (
	"os"
	"time"

	"github.com/alecthomas/kong"

	"flickrkillr/ops/deploy"
	"flickrkillr/schema/wire"
)

type deployCommand struct {
	deployFlags
}

func (c *deployCommand) Run(s *session) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	return deploy.Deploy(s.ctx, o)
}

// deployFlags are the flags of the commands for many machines.
type deployFlags struct {
	Site    string        `default:"site.toml" env:"-" type:"path" placeholder:"FILE" help:"The site: its hosts, their roles, and where the services are (default ${default})."`
	Binary  string        `env:"-" type:"path" placeholder:"FILE" help:"The release: a killr for the hosts (default: this program)."`
	Plan    bool          `env:"-" help:"Print the steps, and change nothing."`
	Without []string      `env:"-" placeholder:"HOST" help:"Leave this host alone, such as one that is away; repeat it for others."`
	Watch   time.Duration `default:"5s" min:"0s" max:"1h" placeholder:"TIME" help:"Compare a new instance with those of before for this long, before the next one is replaced (default ${default})."`
}

// options reads site.toml.
func (f *deployFlags) options(s *session) (deploy.Options, error) {
	flags, err := roleFlagNames()
	if err != nil {
		return deploy.Options{}, err
	}
	site, err := deploy.Load(f.Site, flags)
	if err != nil {
		return deploy.Options{}, err
	}
	if f.Binary == "" {
		if f.Binary, err = os.Executable(); err != nil {
			return deploy.Options{}, err
		}
	}
	return deploy.Options{
		Site: site, Binary: f.Binary, Out: s.stdout, Plan: f.Plan, Without: f.Without,
		Watch: f.Watch,
	}, nil
}

// roleFlagNames are the flags that site.toml may have for each role: all but those that say where services are.
func roleFlagNames() (deploy.Flags, error) {
	parser, err := kong.New(&commands{}, kong.Name("killr"), kong.DefaultEnvars("KILLR"), commandVars())
	if err != nil {
		return nil, err
	}
	elsewhere := map[string]bool{
		"nats": true, "nats-seed": true, "nats-ca": true, "postgres": true, "memcached": true, "pictures": true,
		"data": true, "help": true, "addr": true, "redirect-addr": true, // these two are the sockets'
	}
	flags := deploy.Flags{}
	add := func(role wire.Role, all []*kong.Flag) {
		flags[role] = map[string]deploy.Flag{}
		for _, f := range all {
			if len(f.Envs) > 0 && !elsewhere[f.Name] {
				flags[role][f.Name] = deploy.Flag{Variable: f.Envs[0], File: f.Tag.Type == "path"}
			}
		}
	}
	add("", parser.Model.Flags)
	for _, command := range parser.Model.Leaves(true) {
		switch role := wire.Role(command.Name); role {
		case wire.RoleEdge, wire.RoleRenderer, wire.RoleCachefill:
			add(role, command.Flags)
		}
	}
	return flags, nil
}

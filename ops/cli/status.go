package cli

import "flickrkillr/ops/deploy"

type statusCommand struct {
	Site    string   `default:"site.toml" env:"-" type:"path" placeholder:"FILE" help:"The site (default ${default})."`
	Without []string `env:"-" placeholder:"HOST" help:"Leave this host out, such as one that is away; repeat it for others."`
}

func (c *statusCommand) Run(s *session) error {
	flags := deployFlags{Site: c.Site, Without: c.Without}
	o, err := flags.options(s)
	if err != nil {
		return err
	}
	return deploy.Status(s.ctx, o)
}

package cli

import (
	"flickrkillr/cachefill"
	"flickrkillr/ops/site"
)

type cachefillCommand struct {
	roleFlags
	cachefillFlags
}

func (c *cachefillCommand) Run(s *session) error {
	return s.runRole(site.Cachefill, &c.roleFlags, "--nats and --memcached", func() site.Config {
		return site.Config{Cachefill: c.config()}
	})
}

// cachefillFlags are the flags of a cachefill, which `up` takes as well.
type cachefillFlags struct {
	FillWorkers int `default:"32" min:"1" max:"10000" placeholder:"N" help:"Pages that a cachefill fetches at once (default ${default})."`
	ReplayRate  int `default:"400" min:"1" max:"1000000" placeholder:"N" help:"Pages per second, at most, that are filled when a memcached server is found empty (default ${default})."`
}

// config is what the flags tell a cachefill.
func (f cachefillFlags) config() cachefill.Config {
	return cachefill.Config{Workers: f.FillWorkers, ReplayRate: f.ReplayRate}
}

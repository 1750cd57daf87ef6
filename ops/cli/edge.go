package cli

import (
	"errors"
	"time"

	"flickrkillr/edge"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/systemd"
)

type edgeCommand struct {
	Addr      string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Listen for browsers here (default ${default}). Sockets that systemd passes are used instead: the one named http, or https with a certificate."`
	AccessLog bool   `negatable:"" default:"true" help:"Log a line for each HTTP answer (default: yes)."`
	roleFlags
	edgeFlags
	Drain time.Duration `name:"edge-drain" default:"5s" min:"0s" max:"24h" placeholder:"TIME" help:"Answer for this long after the order to stop, while /readyz fails and load balancers leave (default ${default})."`
}

func (c *edgeCommand) Run(s *session) error {
	if err := errors.Join(c.tlsFlags.check(), c.proxyFlags.check(), checkAddr("--addr", c.Addr)); err != nil {
		return usage(err)
	}
	passed, err := systemd.Sockets()
	if err != nil {
		return err
	}
	sockets, err := chooseSockets(passed, c.encrypts())
	if err != nil {
		return err
	}
	if sockets.pages == nil {
		if err := stack.CheckPort("edge", c.Addr); err != nil {
			return advise(err)
		}
	}
	return s.runRole(site.Edge, &c.roleFlags, "--nats and --memcached", func() site.Config {
		cfg := site.Config{Addr: c.Addr, AccessLog: c.AccessLog, Edge: c.config()}
		cfg.Edge.Drain = c.Drain
		cfg.Edge.Listener, cfg.Edge.Redirects = sockets.pages, sockets.redirects
		return cfg
	})
}

// edgeFlags are the flags of an edge, which `up` takes as well.
type edgeFlags struct {
	NearCache    int      `default:"64" min:"0" max:"1000000" placeholder:"MIB" help:"Memory for an edge's in-process page cache, in MiB (default ${default}; 0 disables it)."`
	MaxConns     int      `default:"10000" min:"1" max:"10000000" placeholder:"N" help:"Connections of browsers that an edge accepts at once (default ${default})."`
	AddressConns int      `default:"2500" min:"1" max:"10000000" placeholder:"N" help:"Close further connections of an address that has this many open, and refuse its requests of HTTP/2 when as many are under way (default ${default}). Those of a --trusted-proxy do not count."`
	Guesses      int      `name:"address-guesses" default:"100" min:"0" max:"10000000" placeholder:"N" help:"Forms with a password that one address may send in a minute, at all edges together (default ${default}; 0: any number). Behind a load balancer that is no --trusted-proxy all visitors have its address: set this to 0."`
	Origin       []string `placeholder:"URL" help:"Address at which visitors reach the site through this edge, such as https://photos.example; repeat it, or separate them by commas. A request whose Host is that of an origin gets pages whose absolute links begin with it."`
	tlsFlags
	proxyFlags
	NoFastPath bool          `help:"Answer every request through net/http (default: the fast path answers simple ones below it)."`
	EdgeStop   time.Duration `default:"15s" min:"1ms" max:"24h" placeholder:"TIME" help:"When an edge stops: time to finish its requests, before they are cut (default ${default})."`
}

// config is what the flags tell an edge.
func (f edgeFlags) config() edge.Config {
	near := f.NearCache << 20
	if near == 0 {
		near = -1
	}
	guesses := f.Guesses
	if guesses == 0 {
		guesses = -1
	}
	return edge.Config{
		Origins:      f.Origin,
		Certificates: f.certificates(),
		Authority:    f.authority(),
		HSTS:         f.hsts(),
		RedirectAddr: f.RedirectAddr,
		Proxies:      f.proxies(),
		MemoryBytes:  near,
		MaxConns:     f.MaxConns,
		AddressConns: f.AddressConns,

		AddressGuesses: guesses,
		NoFastPath:     f.NoFastPath,
		StopTimeout:    f.EdgeStop,
	}
}

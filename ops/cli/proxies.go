package cli

import (
	"fmt"

	"flickrkillr/edge"
)

// proxyFlags are the flags of an edge about proxies and load balancers in front of it.
type proxyFlags struct {
	TrustedProxy  []string `placeholder:"CIDR" help:"Believe what a proxy or load balancer at this address or network says about its clients, such as 192.0.2.0/24; repeat it. It says so in X-Forwarded-For and X-Forwarded-Proto, which it must set itself."`
	ForwardedBy   string   `name:"forwarded-by" default:"x-forwarded" enum:"x-forwarded,forwarded" help:"Which header fields trusted proxies set: x-forwarded (X-Forwarded-For and -Proto) or forwarded (Forwarded, RFC 7239); the others are ignored (default ${default})."`
	ProxyProtocol bool     `help:"Trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2. Those that do not are cut."`
}

// check refuses flags that do not fit together.
func (f *proxyFlags) check() error {
	if err := f.proxies().Check(); err != nil {
		return fmt.Errorf("--trusted-proxy: %w", err)
	}
	return nil
}

func (f *proxyFlags) proxies() edge.Proxies {
	return edge.Proxies{Trusted: f.TrustedProxy, Forwarded: f.ForwardedBy == "forwarded", Protocol: f.ProxyProtocol}
}

package cli

import (
	"strings"

	"flickrkillr/ops/lab/peers"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/stack"
)

// overProtocols starts what bench --peers --tls compares, with a certificate made for it.
func overProtocols(own *stack.Stack) (*peers.Protocols, error) {
	pair, err := peers.MakeKeyPair(own.Dir())
	if err != nil {
		return nil, err
	}
	flags := func(secure bool, more ...string) []string {
		if secure {
			more = append(more, "--tls-cert", pair.Certificate, "--tls-key", pair.Key)
		}
		return more
	}
	plain := func(secure bool, version string, more ...string) peers.Starter {
		return func() (string, []rig.Process, error) {
			addr, p, err := rung(own, version, flags(secure, more...)...)
			return origin(secure, addr), []rig.Process{p}, err
		}
	}
	uncached := func(secure bool, more ...string) peers.Starter {
		return func() (string, []rig.Process, error) {
			url, all, err := together(own, flags(secure, more...)...)
			return origin(secure, strings.TrimPrefix(url, "http://")), all, err
		}
	}
	return &peers.Protocols{
		KeyPair: pair,
		Kept: func(secure bool, file string) peers.Starter {
			return plain(secure, "kept", "--kept", file)
		},
		Program: func(secure bool) peers.Starter { return plain(secure, "0.2", "--files", own.Dir()) },
		Near: func(secure bool) peers.Starter {
			m := measured{roleCounts: roleCounts{renderers: 1, edges: 1, cachefills: 1}, edgeFlags: flags(secure)}
			return func() (string, []rig.Process, error) {
				url, all, err := m.processes(own)
				return origin(secure, strings.TrimPrefix(url, "http://")), all, err
			}
		},
		Cold:    func(secure bool) peers.Starter { return uncached(secure) },
		NetHTTP: func(secure bool) peers.Starter { return uncached(secure, "--no-fast-path") },
	}, nil
}

// origin is the address of a server as a URL.
func origin(secure bool, addr string) string {
	if secure {
		return "https://" + addr
	}
	return "http://" + addr
}

package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"flickrkillr/edge/fastpath"
	"flickrkillr/edge/proxy"
)

// Proxies says what an edge believes of proxies in front of it. The zero value believes nothing.
type Proxies struct {
	Trusted   []string // addresses and networks, such as 192.0.2.0/24
	Forwarded bool     // they set Forwarded (RFC 7239); otherwise X-Forwarded-For and X-Forwarded-Proto
	Protocol  bool     // they begin each connection with a header of the PROXY protocol
}

// Check returns an error if an address is none, or the fields do not fit together.
func (p Proxies) Check() error {
	_, err := p.networks()
	return err
}

func (p Proxies) networks() (proxy.Networks, error) {
	if len(p.Trusted) == 0 && (p.Protocol || p.Forwarded) {
		return nil, errors.New("name the proxies that are trusted, by their address or network")
	}
	return proxy.ParseNetworks(p.Trusted)
}

// listenTCP takes a listener over, or listens on an address if there is none. The connections of trusted proxies may
// have to say first where the client is.
func (s *Server) listenTCP(lis net.Listener, addr string) (net.Listener, error) {
	var err error
	if lis == nil {
		lis, err = (&net.ListenConfig{Control: limitReaders}).Listen(context.Background(), "tcp", addr)
	} else {
		addr, err = lis.Addr().String(), limitReadersOf(lis)
	}
	if err != nil {
		return nil, fmt.Errorf("edge: cannot listen on %s: %w", addr, err)
	}
	if !s.cfg.Proxies.Protocol {
		return lis, nil
	}
	return proxy.Listen(lis, s.proxies, headerTimeout, func(from net.Addr, err error) {
		s.metrics.badHeaders.Inc()
		s.log.Warn("closed a connection of a trusted proxy", "from", from, "err", err)
	}), nil
}

// limitReadersOf is limitReaders for a listener of TCP that somebody else has opened.
func limitReadersOf(lis net.Listener) error {
	tcp, ok := lis.(*net.TCPListener)
	if !ok {
		return errors.New("it is not a socket of TCP")
	}
	c, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	return limitReaders("", "", c)
}

// proxiedTLS marks a request whose client speaks TLS with a proxy. net/http marks none: see fastpath.
var proxiedTLS = &tls.ConnectionState{}

// readForwarded gives a request of a trusted proxy the address of its client, with port 0, and marks it if the client
// speaks TLS.
func (s *Server) readForwarded(r *http.Request) {
	if len(s.proxies) == 0 {
		return
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !s.proxies.Contains(from.Addr()) {
		return
	}
	client, encrypted := from.Addr(), false
	if s.cfg.Proxies.Forwarded {
		client, encrypted = s.proxies.Forwarded(client, r.Header["Forwarded"])
	} else {
		encrypted = s.proxies.Encrypted(client, r.Header["X-Forwarded-Proto"])
		client = s.proxies.Client(client, r.Header["X-Forwarded-For"])
	}
	if client != from.Addr() {
		r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
	}
	if encrypted {
		r.TLS = proxiedTLS
	}
}

// clientOf is the address of the client of a fast request, for logs.
func (s *Server) clientOf(remoteAddr string, r *fastpath.Request) string {
	header := http.Header{}
	for name, value := range map[string][]byte{"X-Forwarded-For": r.ForwardedFor, "Forwarded": r.Forwarded} {
		if value != nil {
			header[name] = []string{string(value)}
		}
	}
	as := http.Request{RemoteAddr: remoteAddr, Header: header}
	s.readForwarded(&as)
	return as.RemoteAddr
}

package site

import (
	"fmt"
	"net"
	"strconv"

	"flickrkillr/edge"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// edgeAddr is where the next edge listens.
func (s *Site) edgeAddr() (string, error) {
	n := s.count(Edge)
	if n == 0 && s.firstAddr != "" {
		return s.firstAddr, nil
	}
	return NthAddr(s.cfg.Addr, n)
}

// redirectAddr is where the next edge listens for clients without TLS; "": nowhere.
func (s *Site) redirectAddr() (string, error) {
	if s.cfg.Edge.RedirectAddr == "" {
		return "", nil
	}
	return NthAddr(s.cfg.Edge.RedirectAddr, s.count(Edge))
}

// NthAddr is the address n ports above addr, host:port. Port 0, any free one, stays 0.
func NthAddr(addr string, n int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("port of %s: %w", addr, err)
	}
	if number != 0 {
		number += n
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

// url is where a browser on this machine finds an edge that listens on addr, without a slash at the end.
func (s *Site) url(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme := "http"
	if s.cfg.Edge.Encrypts() {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// edgeHere makes an edge in this process.
func (s *Site) edgeHere(name string) (*local, error) {
	cfg := s.cfg.Edge
	var err error
	if cfg.Addr, err = s.edgeAddr(); err != nil {
		return nil, err
	}
	if cfg.RedirectAddr, err = s.redirectAddr(); err != nil {
		return nil, err
	}
	bus, registry, err := s.joinBus(wire.RoleEdge, name)
	if err != nil {
		return nil, err
	}
	uploads, err := stack.JoinBusForFiles(s.cfg.Services.Login(wire.RoleEdge), name+" uploads", s.log)
	if err != nil {
		bus.Close()
		return nil, err
	}
	closeAll := func() { uploads.Close(); bus.Close() }
	cfg.NATS, cfg.Uploads, cfg.Memcached = bus.Conn, uploads.Conn, s.cfg.Services.Memcached
	cfg.Version, cfg.Logger, cfg.Registry = s.cfg.Version, s.log, registry
	if s.cfg.AccessLog {
		cfg.AccessLog = s.log.With("edge", name)
	}
	e, err := edge.New(cfg)
	if err != nil {
		closeAll()
		return nil, err
	}
	return &local{
		debug: debug.Role{Name: name, Registry: registry, Ready: busOr(bus, e.Ready)},
		addr:  e.Addr(),
		run:   e.Run,
		close: closeAll,

		reload: e.ReloadCertificates,
	}, nil
}

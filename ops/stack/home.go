package stack

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// homeEvery is the least time between two checks whether a connection can go home; the most is twice as much. Each
	// connection takes another time, so a server that is back does not get all at one moment.
	homeEvery = 20 * time.Second
	// homeLimit bounds each step of a try to connect. A frozen server takes connections and greets nobody.
	homeLimit = time.Second
)

// homeFirst is a list of addresses in the order in which they are tried: the first one first, then the others in any
// order, so that clients of a server that dies spread over the others.
func homeFirst(addresses string) string {
	all := strings.Split(addresses, ",")
	rest := all[1:]
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return strings.Join(all, ",")
}

// home brings a connection back to the first of several servers. NATS clients stay at the server to which they went
// when theirs was away, so without it one that was restarted gets no client.
type home struct {
	to      Login  // the first server alone
	address string // its host:port
	log     *slog.Logger
	wanted  atomic.Bool // the next server is to be this one
}

// newHome returns nil if there is one address only, or the first cannot be read.
func newHome(to Login, log *slog.Logger) *home {
	first, others, _ := strings.Cut(to.URL, ",")
	to.URL = strings.TrimSpace(first)
	address := hostPort(to.URL)
	if strings.Trim(others, ", ") == "" || address == "" {
		return nil
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &home{to: to, address: address, log: log}
}

// hostPort is where a NATS address leads, as nats.go reads it; "": nowhere.
func hostPort(address string) string {
	if !strings.Contains(address, "://") {
		address = "nats://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "4222"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// choose is asked which server to connect to next. nil: the usual one.
func (h *home) choose(servers []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
	if !h.wanted.CompareAndSwap(true, false) { // if it does not work, the usual one is next
		return nil, 0
	}
	for _, s := range servers {
		if s.URL != nil && s.URL.Host == h.address {
			return &s, 0
		}
	}
	return nil, 0
}

// keep moves a connection home when its server is back, until ctx ends. It checks at random times, every apart to two
// times that. What the connection sends meanwhile waits for some milliseconds. A request that is under way may get no
// answer, as when a server restarts.
func (h *home) keep(ctx context.Context, nc *nats.Conn, apart time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(apart + rand.N(apart)):
		}
		at := hostPort(nc.ConnectedUrl())
		if nc.Status() != nats.CONNECTED || at == h.address || !h.takes(ctx, nc.Opts.Name) {
			continue
		}
		h.log.Info("the preferred server of the bus is back", "from", at, "to", h.address)
		h.wanted.Store(true)
		if err := nc.ForceReconnect(); err != nil { // closed
			return
		}
	}
}

// takes reports whether the server takes the connection of a program: it tries a whole one. A server may greet, and
// then refuse who signs in. To leave a good connection for that loses what is under way.
func (h *home) takes(ctx context.Context, name string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dial := dialer(func(network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: homeLimit}).DialContext(ctx, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	})
	nc, _, err := connect(h.to, name, nil,
		nats.RetryOnFailedConnect(false), nats.NoReconnect(), nats.Timeout(homeLimit), nats.SetCustomDialer(dial))
	if err != nil {
		return false
	}
	nc.Close()
	return true
}

// dialer is a nats.CustomDialer.
type dialer func(network, address string) (net.Conn, error)

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

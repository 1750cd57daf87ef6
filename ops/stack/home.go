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
	// homeLimit bounds the wait for the server's greeting. A frozen server takes connections and greets nobody.
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
	address string // host:port
	log     *slog.Logger
	wanted  atomic.Bool // the next server is to be this one
}

// newHome returns nil if there is one address only, or the first cannot be read.
func newHome(addresses string, log *slog.Logger) *home {
	first, others, _ := strings.Cut(addresses, ",")
	address := hostPort(strings.TrimSpace(first))
	if strings.Trim(others, ", ") == "" || address == "" {
		return nil
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &home{address: address, log: log}
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
		if nc.Status() != nats.CONNECTED || at == h.address || !greets(ctx, h.address) {
			continue
		}
		h.log.Info("the preferred server of the bus is back", "from", at, "to", h.address)
		h.wanted.Store(true)
		if err := nc.ForceReconnect(); err != nil { // closed
			return
		}
	}
}

// greets reports whether a nats-server takes clients at an address: it then speaks first.
func greets(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, homeLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	const greeting = "INFO "
	first := make([]byte, len(greeting))
	for n := 0; n < len(first); {
		more, err := conn.Read(first[n:])
		if err != nil {
			return false
		}
		n += more
	}
	return string(first) == greeting
}

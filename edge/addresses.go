package edge

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"flickrkillr/edge/fastpath"
	"flickrkillr/edge/proxy"
)

// ipv6NetworkBits of an IPv6 address count: a visitor's network usually hands out the rest.
const ipv6NetworkBits = 64

// fairListener limits the open connections of one address. It closes a further one at once, so that no visitor takes
// the connections of all others.
type fairListener struct {
	net.Listener // of TCP, or a *proxy.Listener
	most         int
	uncounted    proxy.Networks // proxies, each of which has connections of many visitors
	refused      func(netip.Prefix)

	mu     sync.Mutex
	visits map[netip.Prefix]*visits // of addresses that have connections, or are in debt
	left   []*visits                // of addresses in debt whose last connection was closed, the first one first
}

// visits are the open connections of an address, and what they share.
type visits struct {
	from   netip.Prefix
	conns  int
	left   bool // it is in the list of that name
	shared fastpath.Address
}

// mostLeft bounds how many addresses in debt are remembered that have no connection.
const mostLeft = 10_000

func newFairListener(
	lis net.Listener, most int, uncounted proxy.Networks, refused func(netip.Prefix),
) *fairListener {
	return &fairListener{Listener: lis, most: most, uncounted: uncounted, refused: refused,
		visits: map[netip.Prefix]*visits{}}
}

func (l *fairListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn, direct := nc.(*net.TCPConn)
		if !direct {
			conn = nc.(*proxy.Conn).TCPConn
		}
		client := nc.RemoteAddr()
		addr := client.(*net.TCPAddr).AddrPort().Addr()
		if l.uncounted.Contains(addr) {
			return &fairConn{TCPConn: conn, client: client, release: func() {}}, nil
		}
		from := network(addr)
		if v := l.take(from); v != nil {
			return &fairConn{conn, client, &v.shared, sync.OnceFunc(func() { l.release(v) })}, nil
		}
		_ = conn.SetLinger(0) // nothing of it stays in the kernel
		_ = conn.Close()
		l.refused(from)
	}
}

// take counts a connection. It returns nil if that is one too many.
func (l *fairListener) take(from netip.Prefix) *visits {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	v := l.visits[from]
	switch {
	case v == nil:
		v = &visits{from: from}
		l.visits[from] = v
	case v.conns >= l.most:
		return nil
	}
	v.conns++
	return v
}

func (l *fairListener) release(v *visits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.conns--
	switch {
	case v.conns > 0 || v.left:
	case v.shared.InDebt(time.Now()):
		v.left = true
		l.left = append(l.left, v)
		l.forget()
	default:
		delete(l.visits, v.from)
	}
}

// forget forgets addresses that have no connection and are not in debt. l.mu is held.
func (l *fairListener) forget() {
	for now := time.Now(); len(l.left) > 0; l.left = l.left[1:] {
		v := l.left[0]
		if v.conns == 0 && len(l.left) <= mostLeft && v.shared.InDebt(now) {
			return
		}
		if v.left = false; v.conns == 0 {
			delete(l.visits, v.from)
		}
	}
}

// network is the part of an address that counts.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = ipv6NetworkBits
	}
	from, _ := addr.WithZone("").Prefix(bits) // bits is never too many
	return from
}

// fairConn is a connection that counts until it is closed.
type fairConn struct {
	*net.TCPConn
	client  net.Addr
	address *fastpath.Address // nil: of a proxy
	release func()
}

// Address is for fastpath.
func (c *fairConn) Address() *fastpath.Address { return c.address }

// RemoteAddr is the address of the client, which a proxy may have told.
func (c *fairConn) RemoteAddr() net.Addr { return c.client }

func (c *fairConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

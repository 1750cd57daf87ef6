package edge

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

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

	mu   sync.Mutex
	open map[netip.Prefix]*visits
}

// visits are the open connections of an address.
type visits struct {
	conns    int
	underWay atomic.Int64 // their requests of HTTP/2, which fastpath counts
}

func newFairListener(
	lis net.Listener, most int, uncounted proxy.Networks, refused func(netip.Prefix),
) *fairListener {
	return &fairListener{Listener: lis, most: most, uncounted: uncounted, refused: refused,
		open: map[netip.Prefix]*visits{}}
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
			return &fairConn{conn, client, &v.underWay, sync.OnceFunc(func() { l.release(from) })}, nil
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
	v := l.open[from]
	switch {
	case v == nil:
		v = &visits{}
		l.open[from] = v
	case v.conns >= l.most:
		return nil
	}
	v.conns++
	return v
}

func (l *fairListener) release(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.open[from]
	if v.conns--; v.conns == 0 {
		delete(l.open, from)
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
	client   net.Addr
	underWay *atomic.Int64 // nil: of a proxy
	release  func()
}

// UnderWay is for fastpath.
func (c *fairConn) UnderWay() *atomic.Int64 { return c.underWay }

// RemoteAddr is the address of the client, which a proxy may have told.
func (c *fairConn) RemoteAddr() net.Addr { return c.client }

func (c *fairConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

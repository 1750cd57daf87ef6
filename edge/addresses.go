package edge

import (
	"net"
	"net/netip"
	"sync"

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
	open map[netip.Prefix]int
}

func newFairListener(
	lis net.Listener, most int, uncounted proxy.Networks, refused func(netip.Prefix),
) *fairListener {
	return &fairListener{Listener: lis, most: most, uncounted: uncounted, refused: refused,
		open: map[netip.Prefix]int{}}
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
		if l.take(from) {
			return &fairConn{conn, client, sync.OnceFunc(func() { l.release(from) })}, nil
		}
		_ = conn.SetLinger(0) // nothing of it stays in the kernel
		_ = conn.Close()
		l.refused(from)
	}
}

func (l *fairListener) take(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] >= l.most {
		return false
	}
	l.open[from]++
	return true
}

func (l *fairListener) release(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from]--; l.open[from] == 0 {
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
	client  net.Addr
	release func()
}

// RemoteAddr is the address of the client, which a proxy may have told.
func (c *fairConn) RemoteAddr() net.Addr { return c.client }

func (c *fairConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

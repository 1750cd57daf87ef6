package proxy

import (
	"fmt"
	"net"
	"net/netip"
)

// Networks are the addresses of trusted proxies.
type Networks []netip.Prefix

// ParseNetworks reads addresses and networks, such as 192.0.2.7 and 2001:db8::/32.
func ParseNetworks(texts []string) (all Networks, err error) {
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, wrong := netip.ParseAddr(text)
			if wrong != nil {
				return nil, fmt.Errorf("trusted proxy %q: neither an address nor a network, such as 192.0.2.0/24", text)
			}
			prefix = netip.PrefixFrom(addr.WithZone(""), addr.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("trusted proxy %q: write the IPv4 address as such", text)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

// Contains reports whether an address is that of a trusted proxy.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.IsUnspecified() {
		return false
	}
	for _, prefix := range n {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// addrOf is the address of a TCP connection's other end; not valid for another connection.
func addrOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}

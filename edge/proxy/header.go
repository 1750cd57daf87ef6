package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// errHeader: a connection does not begin with a header of the PROXY protocol that the edge takes.
var errHeader = errors.New("no valid header of the PROXY protocol")

// Bounds of a header.
const (
	maxVersion1 = 107     // bytes, with CR and LF: the longest that the protocol allows
	maxVersion2 = 2 << 10 // bytes after the first 16: addresses and what proxies add
)

// signature begins a header of version 2.
var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// unknown is a client of which the proxy does not know where it is. Networks contains it never, so nothing that it says
// is believed, and limits count all such clients together.
var unknown = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)

// readHeader reads a header (www.haproxy.org/download/3.2/doc/proxy-protocol.txt) and not a byte more. The client is
// not valid if the proxy speaks for itself, as in a health check. Errors wrap errHeader, or are those of r.
func readHeader(r io.Reader) (client netip.AddrPort, err error) {
	var first [12]byte // no header is shorter
	if _, err = io.ReadFull(r, first[:]); err != nil {
		return client, err
	}
	switch {
	case bytes.Equal(first[:], signature):
		return readVersion2(r)
	case bytes.HasPrefix(first[:], []byte("PROXY ")):
		return readVersion1(r, first[:])
	}
	return client, errHeader
}

// readVersion1 reads the rest of a line such as "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443".
func readVersion1(r io.Reader, line []byte) (client netip.AddrPort, err error) {
	for line = bytes.Clone(line); !bytes.HasSuffix(line, []byte("\r\n")); {
		if len(line) == maxVersion1 || bytes.IndexByte(line, '\n') >= 0 {
			return client, fmt.Errorf("%w: a line of more than %d bytes, or without CR", errHeader, maxVersion1)
		}
		var next [1]byte
		if _, err = io.ReadFull(r, next[:]); err != nil {
			return client, err
		}
		line = append(line, next[0])
	}
	fields := strings.Split(string(line[:len(line)-2]), " ")
	if fields[1] == "UNKNOWN" {
		return unknown, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return client, fmt.Errorf("%w: %.40q", errHeader, line)
	}
	var ends [2]netip.AddrPort // the proxy's own end is read, too: a header is valid as a whole or not at all
	for i := range ends {
		addr, err := netip.ParseAddr(fields[2+i])
		if err != nil || addr.Is4() != (fields[1] == "TCP4") || addr.Zone() != "" {
			return client, fmt.Errorf("%w: the address %.40q", errHeader, fields[2+i])
		}
		port, err := strconv.ParseUint(fields[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != fields[4+i] {
			return client, fmt.Errorf("%w: the port %.10q", errHeader, fields[4+i])
		}
		ends[i] = netip.AddrPortFrom(addr, uint16(port))
	}
	return checked(ends[0])
}

// Values of a header of version 2.
const (
	commandLocal = 0x20
	commandProxy = 0x21
	familyNone   = 0x00
	familyTCP4   = 0x11
	familyTCP6   = 0x21
)

// readVersion2 reads what follows the signature.
func readVersion2(r io.Reader) (client netip.AddrPort, err error) {
	var head [4]byte // version and command, family, length
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return client, err
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if length > maxVersion2 {
		return client, fmt.Errorf("%w: %d bytes, more than %d", errHeader, length, maxVersion2)
	}
	rest := make([]byte, length)
	if _, err = io.ReadFull(r, rest); err != nil {
		return client, err
	}
	size := 0 // of an address
	switch {
	case head[0] == commandLocal:
		return client, nil
	case head[0] == commandProxy && head[1] == familyNone:
		return unknown, nil
	case head[0] == commandProxy && head[1] == familyTCP4:
		size = 4
	case head[0] == commandProxy && head[1] == familyTCP6:
		size = 16
	default: // of a client at a UNIX socket or by UDP no address is known that limits could count
		return client, fmt.Errorf("%w: command %#x, family %#x", errHeader, head[0], head[1])
	}
	ends := 2*size + 4
	if len(rest) < ends {
		return client, fmt.Errorf("%w: %d bytes of addresses", errHeader, len(rest))
	}
	for more := rest[ends:]; len(more) > 0; { // what the proxy adds: type, length, value
		if len(more) < 3 || len(more) < 3+int(binary.BigEndian.Uint16(more[1:])) {
			return client, fmt.Errorf("%w: a value is cut off", errHeader)
		}
		more = more[3+int(binary.BigEndian.Uint16(more[1:])):]
	}
	addr, _ := netip.AddrFromSlice(rest[:size])
	return checked(netip.AddrPortFrom(addr, binary.BigEndian.Uint16(rest[2*size:])))
}

// checked refuses an address that no client has.
func checked(client netip.AddrPort) (netip.AddrPort, error) {
	addr := client.Addr().Unmap()
	if addr.IsUnspecified() || addr.IsMulticast() {
		return netip.AddrPort{}, fmt.Errorf("%w: no client has the address %v", errHeader, addr)
	}
	return netip.AddrPortFrom(addr, client.Port()), nil
}

package proxy

import (
	"net/netip"
	"strings"
)

// Client returns the address of the client of a request that came from peer. Each proxy adds the address of its client
// at the end of X-Forwarded-For, whose lines these are. Only what trusted proxies added counts: the client is the last
// address that is not a trusted proxy's, or the first one if all are. Before something that is no address nothing
// counts.
func (n Networks) Client(peer netip.Addr, lines []string) netip.Addr {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; n.Contains(peer); {
			at := strings.LastIndexByte(rest, ',')
			addr, ok := parseNode(strings.TrimSpace(rest[at+1:]))
			if !ok {
				return peer
			}
			peer = addr
			if at < 0 {
				break
			}
			rest = rest[:at]
		}
	}
	return peer
}

// Forwarded is Client for the field Forwarded (RFC 7239), and whether the client speaks TLS, as the last proxy says. A
// line that cannot be read as a whole counts for nothing, nor do those before it. Each is read by itself, so that quotes
// of a client hide no line of a proxy.
func (n Networks) Forwarded(peer netip.Addr, lines []string) (client netip.Addr, encrypted bool) {
	last := true
	for i := len(lines) - 1; i >= 0; i-- {
		elements, ok := parseForwarded(lines[i])
		if !ok {
			return peer, encrypted
		}
		for j := len(elements) - 1; j >= 0; j-- {
			if !n.Contains(peer) {
				return peer, encrypted
			}
			if last {
				last, encrypted = false, strings.EqualFold(elements[j]["proto"], "https")
			}
			addr, ok := parseNode(elements[j]["for"])
			if !ok {
				return peer, encrypted
			}
			peer = addr
		}
	}
	return peer, encrypted
}

// Encrypted reports whether the client of a request from peer speaks TLS, as the last line of X-Forwarded-Proto says.
func (n Networks) Encrypted(peer netip.Addr, lines []string) bool {
	if len(lines) == 0 || !n.Contains(peer) {
		return false
	}
	last := lines[len(lines)-1]
	return strings.EqualFold(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]), "https")
}

// parseNode reads an address, which may have a port, and brackets if it is one of IPv6.
func parseNode(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = with.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// parseForwarded reads a list of elements, each of pairs of a name, in lower case, and a value.
func parseForwarded(text string) (elements []map[string]string, ok bool) {
	element := map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t")
		end := strings.IndexAny(text, "=,;")
		if end >= 0 && text[end] == '=' {
			name := strings.ToLower(text[:end])
			value, rest, ok := cutValue(text[end+1:])
			if _, twice := element[name]; !ok || twice || !isToken(name) {
				return nil, false
			}
			element[name] = value
			text = strings.TrimLeft(rest, " \t")
		} else if end > 0 || end < 0 && text != "" {
			return nil, false // no pair
		}
		if text == "" || text[0] == ',' {
			if len(element) > 0 {
				elements, element = append(elements, element), map[string]string{}
			}
			if text == "" {
				return elements, true
			}
		} else if text[0] != ';' {
			return nil, false
		}
		text = text[1:]
	}
}

// cutValue cuts a token or a quoted string off the beginning of a text.
func cutValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ",; \t")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], isToken(text[:end])
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// isToken reports whether a text is a token (RFC 9110). A colon, as in an address with a port, must be quoted, but many
// proxies leave the quotes out.
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~:[]", rune(c)) {
			return false
		}
	}
	return text != ""
}

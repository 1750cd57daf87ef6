package edge

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
)

// origins maps the Host of a request to one of the configured addresses of the site. Keys are hosts in lower case, with
// the port if there is one. The default port of a scheme may be there or not.
type origins map[string]string

// defaultPorts are the ports that a scheme implies.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// CheckOrigins returns an error if the addresses are not valid as Origins of a [Config].
func CheckOrigins(addresses []string) error {
	_, err := newOrigins(addresses)
	return err
}

// newOrigins reads addresses such as "https://photos.example".
func newOrigins(addresses []string) (origins, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	o := origins{}
	for _, address := range addresses {
		u, err := url.Parse(strings.ToLower(strings.TrimSuffix(address, "/")))
		if err != nil || !page.ValidOrigin(u.Scheme+"://"+u.Host) || u.Scheme+"://"+u.Host != u.String() {
			return nil, fmt.Errorf("origin %q: it must be http:// or https:// with a host and perhaps a port, such as https://photos.example", address)
		}
		implied := defaultPorts[u.Scheme]
		host := u.Host
		if u.Port() == implied {
			host = strings.TrimSuffix(host, ":"+implied)
		}
		if !fastpath.ValidHost([]byte(host)) {
			return nil, fmt.Errorf("origin %q: a host has ASCII letters, digits, hyphens and dots only; write others as browsers send them (xn--...)", address)
		}
		hosts := []string{host}
		if u.Port() == "" || u.Port() == implied {
			hosts = append(hosts, net.JoinHostPort(strings.Trim(host, "[]"), implied))
		}
		origin := u.Scheme + "://" + host
		for _, h := range hosts {
			if other, taken := o[h]; taken && other != origin {
				return nil, fmt.Errorf("origins %s and %s: requests to both have the Host %s; configure only one",
					other, origin, h)
			}
			o[h] = origin
		}
	}
	return o, nil
}

// secure reports whether the origin for a Host begins with https.
func (o origins) secure(host string) bool {
	return strings.HasPrefix(o[strings.ToLower(host)], "https://")
}

// withOrigin returns ref with the origin, for absolute links, that the Host of a request selects. If it selects none,
// withOrigin returns ref.
func withOrigin[T string | []byte](o origins, ref page.Ref, host T) page.Ref {
	if len(o) == 0 || len(host) > page.MaxOrigin {
		return ref
	}
	var buf [page.MaxOrigin]byte // so that nothing is allocated
	lower := buf[:copy(buf[:], host)]
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	if origin, ok := o[string(lower)]; ok {
		return ref.At(origin)
	}
	return ref
}

package edge

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"flickrkillr/schema/page"
)

// origins tells by the Host of a request at which of the configured addresses its visitor reaches the site. Keys are hosts in lower case,
// with the port if there is one; the port that a scheme implies may be there or not.
type origins map[string]string

// defaultPorts are those that a scheme implies.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// CheckOrigins says what is wrong with the addresses that [Config] would be given as Origins.
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
		if !plainHost([]byte(host)) {
			return nil, fmt.Errorf("origin %q: a host has ASCII letters, digits, hyphens and dots only; write others as browsers send them (xn--...)", address)
		}
		hosts := []string{host}
		if u.Port() == "" || u.Port() == implied {
			hosts = append(hosts, net.JoinHostPort(strings.Trim(host, "[]"), implied))
		}
		origin := u.Scheme + "://" + host
		for _, h := range hosts {
			if other, taken := o[h]; taken && other != origin {
				return nil, fmt.Errorf("origins %s and %s: requests to both have the Host %s, so one of them must go", other, origin, h)
			}
			o[h] = origin
		}
	}
	return o, nil
}

// shown gives the page that ref names as it is shown to whoever sent a Host: with absolute links if that is an origin's.
func shown[T string | []byte](o origins, ref page.Ref, host T) page.Ref {
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

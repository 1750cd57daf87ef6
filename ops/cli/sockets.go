package cli

import (
	"errors"
	"fmt"
	"net"
)

// Names of the sockets that systemd may pass to an edge, as in FileDescriptorName=.
const (
	socketHTTP  = "http"  // pages; of an edge with a certificate, redirects to HTTPS
	socketHTTPS = "https" // pages within TLS
)

// edgeSockets are the listeners of an edge that systemd has opened. With none the edge opens its own.
type edgeSockets struct{ pages, redirects net.Listener }

// chooseSockets says what an edge uses each socket for. A socket that it has no use for would let visitors wait for
// ever, so that is an error.
func chooseSockets(sockets map[string]net.Listener, encrypts bool) (edgeSockets, error) {
	for name := range sockets {
		if name != socketHTTP && name != socketHTTPS {
			return edgeSockets{}, fmt.Errorf("systemd passes a socket with the name %q: its FileDescriptorName= "+
				"has to be %s or %s", name, socketHTTP, socketHTTPS)
		}
	}
	http, https := sockets[socketHTTP], sockets[socketHTTPS]
	switch {
	case !encrypts && https != nil:
		return edgeSockets{}, errors.New("systemd passes a socket for HTTPS, and this edge has no certificate: add " +
			"--tls-cert and --tls-key, or --acme, or stop the unit of that socket")
	case encrypts && http != nil && https == nil:
		return edgeSockets{}, errors.New("systemd passes a socket for HTTP only, and this edge speaks HTTPS: start " +
			"the unit of a socket with the FileDescriptorName= " + socketHTTPS)
	case encrypts:
		return edgeSockets{pages: https, redirects: http}, nil
	}
	return edgeSockets{pages: http}, nil
}

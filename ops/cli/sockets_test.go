package cli

import (
	"net"
	"strings"
	"testing"
)

// TestChooseSockets: an edge uses the socket of its protocol for pages, and refuses one that it would leave unanswered.
func TestChooseSockets(t *testing.T) {
	t.Parallel()
	var http, https net.Listener = &net.TCPListener{}, &net.TCPListener{}
	both := map[string]net.Listener{"http": http, "https": https}
	for name, c := range map[string]struct {
		sockets  map[string]net.Listener
		encrypts bool
		want     edgeSockets
		err      string
	}{
		"none":               {nil, true, edgeSockets{}, ""},
		"pages":              {map[string]net.Listener{"http": http}, false, edgeSockets{pages: http}, ""},
		"pages within TLS":   {map[string]net.Listener{"https": https}, true, edgeSockets{pages: https}, ""},
		"and redirects":      {both, true, edgeSockets{https, http}, ""},
		"no certificate":     {both, false, edgeSockets{}, "--tls-cert"},
		"no socket for TLS":  {map[string]net.Listener{"http": http}, true, edgeSockets{}, "FileDescriptorName= https"},
		"an unknown one":     {map[string]net.Listener{"web": http}, false, edgeSockets{}, `the name "web"`},
		"one without a name": {map[string]net.Listener{"": http}, false, edgeSockets{}, `the name ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chooseSockets(c.sockets, c.encrypts)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v, %v; want %+v, %q", got, err, c.want, c.err)
			}
		})
	}
}

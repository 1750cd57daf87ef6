package peers

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// protocolTargets are those of the project over TLS. Pages that are made anew have one for what the fast path adds.
var protocolTargets = []Target{
	{Protocol: string(h1), Of: oursNear, Against: nginxFile, Most: 1},
	{Protocol: string(h1TLS), Of: oursNear, Against: nginxFile, Most: 1.5},
	{Protocol: string(h2TLS), Of: oursNear, Against: nginxFile, Most: 2},
	{Protocol: string(h1), Of: oursTogether, Against: oursNetHTTP, Most: 1},
	{Protocol: string(h1TLS), Of: oursTogether, Against: oursNetHTTP, Most: 1},
	{Protocol: string(h2TLS), Of: oursTogether, Against: oursNetHTTP, Most: 1},
}

// loadAverage is that of the machine; "" where it is not known.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	parts := strings.Fields(string(text))
	return strings.Join(parts[:min(3, len(parts))], " ")
}

// writeProtocols prints the result of several protocols: what a page costs, and the ratio to nginx.
func (res *Result) writeProtocols(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %d bytes compressed; connections: %d, kept, of HTTP/2 with %d requests at a time;\n"+
		"medians of rounds: %d, of %g s each, in turn; load average: %s.\n", res.Page, res.Bytes, res.Visitors, streams,
		res.Rounds, res.Seconds, res.Load)
	for _, part := range [...]struct {
		cold         bool
		title, nginx string
	}{
		{false, "A near hit", nginxFile},
		{true, fmt.Sprintf("Pages of %d users, in no cache", res.Users), plainNginx},
	} {
		fmt.Fprintf(&b, "\n%-36s", part.title)
		for _, proto := range protocols {
			fmt.Fprintf(&b, " %9s %6s %15s", proto, "ratio", "least-most")
		}
		fmt.Fprintln(&b)
		for _, first := range res.Peers {
			if first.Cold != part.cold || first.Protocol != string(h1) {
				continue
			}
			if first.Missing != "" {
				fmt.Fprintf(&b, "%-36s missing: %s is not installed\n", first.Name, first.Missing)
				continue
			}
			fmt.Fprintf(&b, "%-36s", first.Name)
			for _, proto := range protocols {
				p, nginx := res.peer(first.Name, proto), res.peer(part.nginx, proto)
				ratio := "-"
				if nginx.Servers > 0 {
					ratio = fmt.Sprintf("%.2f", p.Servers/nginx.Servers)
				}
				fmt.Fprintf(&b, " %9.1f %6s %15s", p.Servers, ratio, fmt.Sprintf("%.0f-%.0f", p.Least, p.Most))
			}
			fmt.Fprintln(&b)
		}
	}
	fmt.Fprintf(&b, "µs of processor time a page, of all server processes, Postgres included; ratio: to nginx.\n\n")
	for _, t := range res.Targets {
		met := "not known"
		if t.Ratio > 0 {
			met = fmt.Sprintf("%.2f  %s", t.Ratio, map[bool]string{true: "met", false: "missed"}[t.Met])
		}
		fmt.Fprintf(&b, "%-7s %-32s to %-30s at most %.1f: %s\n", t.Protocol, t.Of, t.Against, t.Most, met)
	}
	res.writeNotes(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// peer is what was measured of a server over a protocol.
func (res *Result) peer(name string, proto protocol) Peer {
	for _, p := range res.Peers {
		if p.Name == name && p.Protocol == string(proto) {
			return p
		}
	}
	return Peer{}
}

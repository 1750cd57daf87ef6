package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
)

// streams is how many requests a visitor makes at once over one connection, as commonly negotiated by browsers and
// servers.
const streams = 100

// http2 speaks HTTP/2 over one connection, which other visitors may share.
type http2 struct {
	cfg       *Config
	edge      edge
	cookie    string // header field Cookie; "": none
	transport *http.Transport
}

// newTransport makes what visitors of an edge share a connection by.
func newTransport(cfg *Config, e edge, opened *atomic.Int64) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(e.secure)
	protocols.SetUnencryptedHTTP2(!e.secure)
	return &http.Transport{
		Protocols: protocols, DisableCompression: true, TLSClientConfig: tlsConfig(e),
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			opened.Add(1)
			nc, err := cfg.Dial(ctx, network, addr)
			if err != nil {
				return nil, &failure{kindConnect, err}
			}
			return nc, nil
		},
	}
}

func (c *http2) slots() int { return streams }

func (c *http2) url() string { return c.edge.url }

func (c *http2) get(ctx context.Context, _ int, path string, buf []byte) (answer, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.edge.url+path, nil)
	if err != nil {
		return answer{}, buf, err
	}
	req.Header = http.Header{"User-Agent": {"killr-bench"}, "Accept": {"*/*"}, "Accept-Encoding": {c.cfg.accepted()}}
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{}, buf, err
	}
	defer resp.Body.Close()
	body, err := readBody(buf, resp.Body, resp.ContentLength)
	if err != nil {
		return answer{}, body, fmt.Errorf("read the answer's body, %d bytes so far: %w", len(body), err)
	}
	return newAnswer(resp.StatusCode, resp.Header, body), body, nil
}

func (c *http2) close() { c.transport.CloseIdleConnections() }

package edge

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
)

// TestSessionGoesOnAtAnotherEdge: over TLS 1.2 and 1.3.
func TestSessionGoesOnAtAnotherEdge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	option := pathOption(t, encrypted)
	a, b := s.start(option), s.start(option)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			client := trusting.Clone()
			client.MinVersion, client.MaxVersion, client.ServerName = version, version, "photos.example"
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			resumed := func(e *Server) bool {
				t.Helper()
				transport := &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true}
				defer transport.CloseIdleConnections()
				resp, err := (&http.Client{Transport: transport}).Get(origin(e) + "/photos/ansel")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil { // the ticket of TLS 1.3 comes before it
					t.Fatal(err)
				}
				return resp.TLS.DidResume
			}
			eventually(t, "a session of one edge goes on at the other", func() bool {
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				return !resumed(a) && resumed(b)
			})
		})
	}
}

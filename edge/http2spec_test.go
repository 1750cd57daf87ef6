package edge

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// TestHTTP2Conforms runs h2spec, whole, for a page that the edge has in memory and for one that does not exist. All
// passes within TLS. Without it one test does not: what does not begin as HTTP/2 is HTTP/1 there, and answered so.
func TestHTTP2Conforms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	for _, path := range [...]string{fastPath, encrypted} {
		e := s.edge(pathOption(t, path))
		for range 3 {
			get(t, e, "/photos/ansel", "Accept-Encoding", "gzip")
		}
		host, port, err := net.SplitHostPort(e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range [...]string{"/photos/ansel", "/nowhere"} {
			t.Run(path+" "+page, func(t *testing.T) { // one after the other: h2spec has variables of the package
				tests, failed := 0, 0
				for _, group := range [...]*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
					group.Test(&config.Config{Host: host, Port: number, Path: page, Timeout: 2 * time.Second,
						MaxHeaderLen: 4000, TLS: e.cfg.Encrypts(), Insecure: true})
					tests, failed = tests+group.PassedCount, failed+group.FailedCount
				}
				allowed := 0
				if !e.cfg.Encrypts() {
					allowed = 1
				}
				if failed != allowed || tests+failed != 145 {
					t.Errorf("%d of h2spec's tests pass and %d fail", tests, failed)
				}
			})
		}
	}
}

package edge

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// h2specTests is how many tests h2spec has.
const h2specTests = 145

// h2specBodies are the groups with tests that send further frames after a request without its end, and want an error
// for them. A server that has answered by then in full may end the stream without one (RFC 9113, 8.1): so these tests
// get a page that does not fit into the window. Those of 8.1.2.6 send a POST, and its error page does not fit either.
var h2specBodies = []string{"http2/6.9", "http2/6.9.1", "http2/8.1", "http2/8.1.2.1"}

// TestHTTP2Conforms runs h2spec, whole, for a page that the edge has in memory and for one that does not exist. All
// passes within TLS. Without it one test does not: what does not begin as HTTP/2 is HTTP/1 there, and answered so.
func TestHTTP2Conforms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if ref.Name() == "large" || ref.Kind() == page.KindError && ref.Status() == http.StatusMethodNotAllowed {
			r.Body = bytes.Repeat([]byte("large "), 20_000)
		}
		return r
	})
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
				passed, failed := 0, []string(nil)
				for _, group := range [...]*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
					largePages(group)
					group.Test(&config.Config{Host: host, Port: number, Path: page, Timeout: 20 * time.Second,
						MaxHeaderLen: 4000, TLS: e.cfg.Encrypts(), Insecure: true})
					passed, failed = passed+group.PassedCount, append(failed, h2specFailures(group)...)
				}
				allowed := 0
				if !e.cfg.Encrypts() {
					allowed = 1
				}
				if len(failed) != allowed || passed+len(failed) != h2specTests {
					t.Errorf("%d of h2spec's tests pass; these fail:\n%s", passed, strings.Join(failed, "\n"))
				}
			})
		}
	}
}

// largePages has some tests of a group, and of those within it, get a large page.
func largePages(group *spec.TestGroup) {
	if slices.Contains(h2specBodies, group.ID()) {
		for _, test := range group.Tests {
			run := test.Run
			test.Run = func(c *config.Config, conn *spec.Conn) error {
				other := *c
				other.Path = "/photos/large"
				return run(&other, conn)
			}
		}
	}
	for _, g := range group.Groups {
		largePages(g)
	}
}

// h2specFailures describes the tests of a group, and of those within it, that have failed.
func h2specFailures(group *spec.TestGroup) (failed []string) {
	for _, test := range group.Tests {
		r := test.Result
		if r == nil || !r.Failed {
			continue
		}
		text := fmt.Sprintf("%s/%d %s (after %v)", group.ID(), r.Sequence, test.Desc, r.Duration)
		if wrong, ok := errors.AsType[*spec.TestError](r.Error); ok {
			text += fmt.Sprintf(": %q, want one of %q", wrong.Actual, wrong.Expected)
		} else {
			text += ": " + r.Error.Error()
		}
		failed = append(failed, text)
	}
	for _, g := range group.Groups {
		failed = append(failed, h2specFailures(g)...)
	}
	return failed
}

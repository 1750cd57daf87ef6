package edge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flickrkillr/schema/page"
)

// requestForms returns requests for a path, by name: a fast one, delegated ones and unparsed ones.
func requestForms(path string) map[string]string {
	return map[string]string{
		"fast":     rawGet(path),
		"query":    rawGet(path + "?from=mail"),
		"HEAD":     "HEAD " + path + " HTTP/1.1\r\nHost: killr\r\n\r\n",
		"HTTP/1.0": "GET " + path + " HTTP/1.0\r\n\r\n",
		"unparsed": rawGet(path, "X-Note: a\ttab"),
	}
}

// TestHalfClosed: a client that half-closes after its request gets the answer, even if the page must be rendered.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	want := len(s.standard(page.User("ansel")).Body)
	for path, e := range s.bothPaths() {
		get(t, e, "/photos/ansel")
		for _, miss := range []bool{false, true} {
			for name, text := range requestForms("/photos/ansel") {
				t.Run(fmt.Sprint(path, " ", name, " miss ", miss), func(t *testing.T) {
					before, release := halfClosed(t, e), s.blockUsers()
					if miss {
						text = strings.Replace(text, "ansel", strings.ToLower(strings.Trim(name, "/.01")), 1)
					}
					client := dial(t, e)
					client.send(text)
					client.halfClose()
					if miss {
						eventually(t, "the edge has received the FIN", func() bool { return halfClosed(t, e) > before })
					}
					close(release)
					method, _, _ := strings.Cut(text, " ")
					a, err := client.tryReceive(method)
					if err != nil || a.status != 200 || a.header.Get("Content-Length") == "0" ||
						method == http.MethodGet && len(a.body) < want-100 {
						t.Errorf("status %d, %d bytes, %v", a.status, len(a.body), err)
					}
					if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
						t.Errorf("%q after the answer, %v", rest, err)
					}
				})
			}
		}
		s.answerWith(nil)
	}
}

// TestHalfClosedAfterMany: a client that half-closes after several pipelined requests gets all answers.
func TestHalfClosedAfterMany(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/about")
	const tail = "HTTP/1.1\r\nHost: killr\r\n\r\n"
	for kind, first := range map[string]string{
		"fast": "GET /photos/%s " + tail, "delegated": "GET /photos/%s?from=mail " + tail,
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprint(kind, " together ", together), func(t *testing.T) {
				release, before := s.blockUsers(), halfClosed(t, e)
				client, name := dial(t, e), fmt.Sprint(kind, together)
				requests := []string{
					fmt.Sprintf(first, name), rawGet("/about"), fmt.Sprintf(first, name+"2"),
					rawGet("/photos/" + name + "3"),
				}
				if together {
					client.send(strings.Join(requests, ""))
				} else {
					for _, text := range requests {
						client.send(text)
						eventually(t, "the first page is requested", func() bool { return fetching(e) == 1 })
					}
				}
				client.halfClose()
				if together { // else the pipelined requests tell the edge that the FIN is no disconnect
					eventually(t, "the edge has received the FIN", func() bool { return halfClosed(t, e) > before })
				}
				close(release)
				for j := range requests {
					if a, err := client.tryReceive(http.MethodGet); err != nil || a.status != 200 || a.body == "" {
						t.Errorf("answer %d: status %d, %d bytes, %v", j, a.status, len(a.body), err)
					}
				}
				if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
					t.Errorf("%q after the answers, %v", rest, err)
				}
			})
		}
	}
}

// TestClientLeaves: a fetch that only one client waits for is cancelled when the client resets its connection, or after
// the grace period when it sends a FIN. The edge sends nothing to a client that has left.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	release := s.blockUsers()
	defer close(release)
	for name, text := range requestForms("/photos/dora") {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " reset ", reset), func(t *testing.T) {
				before, left := halfClosed(t, e), count(t, e.metrics.status[0])
				client := dial(t, e)
				client.send(rawGet("/photos/ansel"))
				client.receive(http.MethodGet)
				client.send(text)
				eventually(t, "the page is requested", func() bool { return fetching(e) == 1 })
				if reset {
					_ = client.conn.(*net.TCPConn).SetLinger(0)
					_ = client.conn.Close()
				} else {
					client.halfClose()
					if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
						t.Errorf("the edge sent %q, %v", rest, err)
					}
				}
				eventually(t, "the edge counts the client as left", func() bool {
					return count(t, e.metrics.status[0]) == left+1
				})
				eventually(t, "the fetch has ended", func() bool { return fetching(e) == 0 })
				if n := halfClosed(t, e) - before; (n > 0) == reset {
					t.Errorf("%d clients count as half-closed", n)
				}
			})
		}
	}
}

// finPipe is the server's end of a connection whose client has sent some bytes and a FIN.
type finPipe struct {
	net.Conn
	sent chan []byte
}

func (f *finPipe) Read(p []byte) (int, error) {
	select {
	case text := <-f.sent:
		return copy(p, text), nil
	default:
		return 0, io.EOF
	}
}

// TestHalfCloseGrace: after a FIN the client gets an answer of the handler within the grace period, and none later.
func TestHalfCloseGrace(t *testing.T) {
	t.Parallel()
	const grace = 2 * time.Second // see edge/fastpath
	for took, answered := range map[time.Duration]bool{grace / 2: true, 2 * grace: false} {
		for name, text := range requestForms("/slow") {
			t.Run(fmt.Sprint(name, " answered ", answered), func(t *testing.T) {
				t.Parallel()
				handler := func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(took):
						fmt.Fprint(w, "slowly")
					case <-r.Context().Done():
						panic(http.ErrAbortHandler) // as ServeHTTP does
					}
				}
				onPipes(t, handler, func(_ *Server, p *pipes) {
					here, there := net.Pipe()
					f := &finPipe{there, make(chan []byte, 1)}
					f.sent <- []byte(text)
					p.conns <- f
					got, err := io.ReadAll(here)
					if answered != strings.HasPrefix(string(got), "HTTP/1") || !answered && len(got) > 0 ||
						err != nil && !errors.Is(err, io.EOF) {
						t.Errorf("%q, %v", got, err)
					}
					synctest.Wait()
				})
			})
		}
	}
}

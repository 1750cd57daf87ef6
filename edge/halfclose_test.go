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

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
)

// asks gives a request in each of the ways that one comes in: by the express, and by net/http from there or from the
// beginning.
func requestForms(path string) map[string]string {
	return map[string]string{
		"express":  rawGet(path),
		"query":    rawGet(path + "?from=mail"),
		"HEAD":     "HEAD " + path + " HTTP/1.1\r\nHost: killr\r\n\r\n",
		"HTTP/1.0": "GET " + path + " HTTP/1.0\r\n\r\n",
		"foreign":  rawGet(path, "X-Note: a\ttab"),
	}
}

// TestHalfClosed: a client that half-closes after its request gets the answer, also if the page must be rendered.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	want := len(s.standard(page.User("ansel")).Body)
	for paths, e := range s.bothPaths() {
		get(t, e, "/photos/ansel")
		for _, miss := range []bool{false, true} {
			for name, text := range requestForms("/photos/ansel") {
				t.Run(fmt.Sprint(paths, " ", name, " miss ", miss), func(t *testing.T) {
					before, release := halfClosed(t, e), s.blockUsers()
					if miss {
						text = strings.Replace(text, "ansel", strings.ToLower(strings.Trim(name, "/.01")), 1)
					}
					client := dial(t, e)
					client.send(text)
					client.halfClose()
					if miss {
						eventually(t, "the edge has seen the end", func() bool { return halfClosed(t, e) > before })
					}
					close(release)
					method, _, _ := strings.Cut(text, " ")
					a, err := client.tryReceive(method)
					if err != nil || a.status != 200 || a.header.Get("Content-Length") == "0" ||
						method == http.MethodGet && len(a.body) < want-100 {
						t.Errorf("status %d, %d bytes, %v", a.status, len(a.body), err)
					}
					if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
						t.Errorf("then %q, %v", rest, err)
					}
				})
			}
		}
		s.answerWith(nil)
	}
}

// TestHalfClosedAfterMany: so do those who ask for several pages at once, or one after the other without waiting.
func TestHalfClosedAfterMany(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/about")
	const tail = "HTTP/1.1\r\nHost: killr\r\n\r\n"
	for i, first := range []string{"GET /photos/%s " + tail, "GET /photos/%s?from=mail " + tail} {
		for _, together := range []bool{true, false} {
			release, before := s.blockUsers(), halfClosed(t, e)
			client, name := dial(t, e), fmt.Sprintf("u%d%t", i, together)
			say := []string{
				fmt.Sprintf(first, name), rawGet("/about"), fmt.Sprintf(first, name+"2"),
				rawGet("/photos/" + name + "3"),
			}
			if together {
				client.send(strings.Join(say, ""))
			} else {
				for _, text := range say {
					client.send(text)
					eventually(t, "the first is asked for", func() bool { return fetching(e) == 1 })
				}
			}
			client.halfClose()
			if together { // else the requests that have been read tell that it is no end
				eventually(t, "the edge has seen the end", func() bool { return halfClosed(t, e) > before })
			}
			close(release)
			for j := range say {
				if a, err := client.tryReceive(http.MethodGet); err != nil || a.status != 200 || a.body == "" {
					t.Errorf("%s, together %t, answer %d: status %d, %d bytes, %v", first, together, j, a.status,
						len(a.body), err)
				}
			}
			if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
		}
	}
}

// TestVisitorLeaves: a FIN that is followed by nothing for a while, and a reset at once, cancel what nobody waits for.
// A connection that is closed without an answer is closed without a status line too.
func TestVisitorLeaves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	release := s.blockUsers()
	defer close(release)
	left := 0
	for name, text := range requestForms("/photos/dora") {
		for _, reset := range []bool{false, true} {
			before := halfClosed(t, e)
			client := dial(t, e)
			client.send(rawGet("/photos/ansel"))
			client.receive(http.MethodGet)
			client.send(text)
			eventually(t, "the page is asked for", func() bool { return fetching(e) == 1 })
			if reset {
				_ = client.conn.(*net.TCPConn).SetLinger(0)
				_ = client.conn.Close()
			} else {
				client.halfClose()
				if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
					t.Errorf("%s: %q, %v", name, rest, err)
				}
			}
			left++
			eventually(t, "the edge has noticed", func() bool { return int(count(t, e.metrics.status[0])) == left })
			eventually(t, "the fetch has ended", func() bool { return fetching(e) == 0 })
			if n := halfClosed(t, e) - before; (n > 0) == reset {
				t.Errorf("%s, reset %t: %d taken for half-closed", name, reset, n)
			}
		}
	}
}

// finPipe is the server's end of a connection whose visitor has closed their direction after what there is to read.
type finPipe struct {
	net.Conn
	said chan []byte
}

func (f *finPipe) Read(p []byte) (int, error) {
	select {
	case text := <-f.said:
		return copy(p, text), nil
	default:
		return 0, io.EOF
	}
}

// TestHalfCloseGrace holds the handler's requests to the grace, in fake time.
func TestHalfCloseGrace(t *testing.T) {
	t.Parallel()
	for took, answered := range map[time.Duration]bool{fastpath.HalfCloseGrace / 2: true, 2 * fastpath.HalfCloseGrace: false} {
		for name, text := range requestForms("/slow") {
			t.Run(fmt.Sprint(name, answered), func(t *testing.T) {
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
					f.said <- []byte(text)
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

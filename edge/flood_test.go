package edge

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"golang.org/x/net/http2"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// floodFrames is how many frames a flood tries to send: several times what a connection may. These are less bytes than
// an edge still reads when it has said that the connection ends.
const floodFrames = 30_000

// Bounds of what an edge and the clients of a flood hold, all in this process.
const (
	floodMemory     = 48 << 20 // bytes of heap and stacks, after a collection
	floodGoroutines = 2_500
)

// floodSite is an edge within TLS with a page in memory, a large one, and one that no renderer ever answers.
func floodSite(t testing.TB, more ...func(*Config)) *Server {
	s := newSite(t)
	s.renderer()
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		switch ref.Name() {
		case "never":
			<-never
			return nil
		case "large":
			r.Body = bytes.Repeat([]byte("large "), 100_000)
		}
		return r
	})
	e := s.edge(append(more, pathOption(t, encrypted))...)
	for range 3 {
		get(t, e, "/photos/ansel", "Accept-Encoding", "gzip")
		get(t, e, "/photos/large")
	}
	return e
}

// TestFloods: a connection that floods an edge is slowed, then ended, and told why; what a client may do goes on.
// Meanwhile the edge answers everybody else, and holds little. All floods come at the same time, each from an address
// of its own. It runs alone, as it measures the process.
func TestFloods(t *testing.T) {
	e := floodSite(t)
	others, before := honest(t, e), held()
	var all sync.WaitGroup
	for i, name := range slices.Sorted(maps.Keys(floods)) {
		all.Go(func() {
			kind := floods[name]
			client := dialFloodFrom(t, fmt.Sprintf("127.0.1.%d", i+1), e.Addr())
			go client.read()
			kind.flood(client)
			if kind.code == http2.ErrCodeNo {
				if !client.goesOn() {
					t.Errorf("%s: the connection is ended: %v", name, client.code)
				}
			} else if code, said := client.endsWith(); !said || code != kind.code {
				t.Errorf("%s: the connection ends for %v, want %v", name, code, kind.code)
			}
		})
	}
	all.Wait()
	before.bounds(t)
	others(1)
	before.bounds(t)
	if n := count(t, e.metrics.paced); n < float64(len(floods)) {
		t.Errorf("connections were slowed %v times", n)
	}
}

// TestFloodOfStreams: of 1,000 requests at once over each of many connections, all are answered or refused, and no
// connection is ended.
func TestFloodOfStreams(t *testing.T) {
	e := floodSite(t)
	others, before := honest(t, e), held()
	const connections, requests = 30, 1000
	var all sync.WaitGroup
	for range connections {
		c := flood(t, e, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		all.Go(func() {
			c.must(c.WriteWindowUpdate(0, 1<<30))
			c.repeat(requests, func(i int) error {
				c.get(uint32(2*i+1), [...]string{"/photos/ansel", "/nowhere"}[i%2])
				return nil
			})
			if !c.until(func() bool { return c.ended == requests }) || !c.goesOn() {
				t.Errorf("the connection is ended (%v) after %d of %d requests", c.code, c.ended, requests)
			}
			if c.answers+c.refused != requests || c.answers < 100 {
				t.Errorf("%d answers and %d refusals of %d requests", c.answers, c.refused, requests)
			}
		})
	}
	all.Wait()
	before.bounds(t)
	others(connections)
}

// TestFloodOfUnreadAnswers: clients that ask for much and take nothing hold little, whether they open no window or do
// not read.
func TestFloodOfUnreadAnswers(t *testing.T) {
	for name, window := range map[string]uint32{"no windows": 0, "nothing is read": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			e := floodSite(t)
			others, before := honest(t, e), held()
			const connections, requests = 20, 100
			for range connections {
				c := dialFlood(t, e, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
				c.must(c.WriteWindowUpdate(0, 1<<30))
				for i := range uint32(requests) {
					c.get(2*i+1, [...]string{"/photos/large", "/photos/ansel"}[i%2])
				}
				if !c.send() {
					t.Error("a connection is ended")
				}
			}
			others(100)
			before.bounds(t)
		})
	}
}

// honest makes requests for pages in memory, pages that are not, and pages that do not exist, until the result is
// called, and at least a number of each. All are answered.
func honest(t *testing.T, e *Server) (stop func(atLeast int)) {
	transport := &http.Transport{TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: true}
	var all sync.WaitGroup
	enough := make(chan struct{})
	var rounds atomic.Int64
	all.Go(func() {
		for {
			n := rounds.Add(1)
			for path, want := range map[string]int{
				"/photos/ansel": 200, fmt.Sprintf("/photos/cold%d", n): 200, "/nowhere": 404,
			} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin(e)+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != want || err != nil {
					t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
				}
			}
			select {
			case <-enough:
				return
			default:
			}
		}
	})
	return func(atLeast int) {
		t.Helper()
		eventually(t, "others are answered", func() bool { return rounds.Load() > int64(atLeast) || t.Failed() })
		close(enough)
		all.Wait()
		transport.CloseIdleConnections()
	}
}

// held is what this process holds.
type holding struct {
	bytes      int64 // of heap and stacks
	goroutines int
}

func held() holding {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // empties pools
	runtime.ReadMemStats(&m)
	return holding{int64(m.HeapInuse + m.StackInuse), runtime.NumGoroutine()}
}

// bounds checks how much more the process holds now.
func (h holding) bounds(t *testing.T) {
	t.Helper()
	now := held()
	more, goroutines := now.bytes-h.bytes, now.goroutines-h.goroutines
	t.Logf("%d KiB and %d goroutines more", more>>10, goroutines)
	if more > floodMemory || goroutines > floodGoroutines {
		t.Errorf("%d bytes and %d goroutines more are held", more, goroutines)
	}
}

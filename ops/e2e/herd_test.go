package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	roles "flickrkillr/ops/site"
	"flickrkillr/schema/wire"
)

// BenchmarkHerd lets 10,000 visitors request a page that is in no cache at the same moment, over 4 edges. It reports
// the number of renders, including the one that fills memcached afterwards, and of requests from edges. It needs 10,000
// open files.
//
//	go test ./ops/e2e -run '^$' -bench Herd -benchtime 5x
func BenchmarkHerd(b *testing.B) {
	const edges, visitors = 4, 10_000
	s := newSite(b, edges, 4)
	var slowest time.Duration
	before := s.rendered("user")
	asked := make(chan *nats.Msg, 1000)
	if _, err := s.nc.ChanSubscribe("page.user.>", asked); err != nil {
		b.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		// a different page each time, of the same cost
		path := fmt.Sprintf("/photos/%s/before/%d", s.names[0], 2_000_000+i)
		slowest = max(slowest, s.herd(b, path, visitors))
	}
	b.ReportMetric(float64(s.rendered("user")-before)/float64(b.N), "renders/herd")
	byEdges := 0
	for len(asked) > 0 {
		if m := <-asked; m.Header.Get(wire.HeaderRequest) != "" { // requests of a cachefill have no id
			byEdges++
		}
	}
	b.ReportMetric(float64(byEdges)/float64(b.N), "asked-by-edges/herd")
	b.ReportMetric(slowest.Seconds(), "s-slowest")
	b.ReportMetric(0, "ns/op")
}

// herd opens the connections, sends all requests at once, and returns how long the last answer took.
func (s *site) herd(b *testing.B, path string, visitors int) time.Duration {
	conns := make([]net.Conn, visitors)
	for i := range conns {
		at, err := url.Parse(s.urls[i%len(s.urls)])
		if err != nil {
			b.Fatal(err)
		}
		if conns[i], err = net.DialTimeout("tcp", at.Host, 10*time.Second); err != nil {
			b.Fatalf("connection %d: %v", i, err)
		}
		defer conns[i].Close()
	}
	var wg sync.WaitGroup
	var bad atomic.Int64
	start := make(chan struct{})
	for _, c := range conns {
		wg.Go(func() {
			<-start
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := fmt.Fprintf(
				c, "GET %s HTTP/1.1\r\nHost: killr\r\nAccept-Encoding: gzip\r\n\r\n", path,
			); err != nil {
				bad.Add(1)
				return
			}
			resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				bad.Add(1)
				return
			}
			resp.Body.Close()
		})
	}
	begun := time.Now()
	close(start)
	wg.Wait()
	if n := bad.Load(); n > 0 {
		b.Errorf("%d of %d visitors got no page", n, visitors)
	}
	return time.Since(begun)
}

// rendered is how many requests for a kind of page all renderers have answered, as in `nats micro stats renderer`.
func (s *site) rendered(kind string) (sum int) {
	s.t.Helper()
	inbox := s.nc.NewRespInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.nc.PublishRequest("$SRV.STATS.renderer", inbox, nil); err != nil {
		s.t.Fatal(err)
	}
	for range s.pids(roles.Renderer) {
		msg, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		var stats struct {
			Endpoints []struct {
				Name        string `json:"name"`
				NumRequests int    `json:"num_requests"`
			} `json:"endpoints"`
		}
		if err := json.Unmarshal(msg.Data, &stats); err != nil {
			s.t.Fatal(err)
		}
		for _, e := range stats.Endpoints {
			if e.Name == kind {
				sum += e.NumRequests
			}
		}
	}
	return sum
}

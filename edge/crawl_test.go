package edge

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// crawl requests the same 50 pages in each round, as visitors do, and then as many further pages as crawled says, each
// of them once. It returns how many of the visitors' requests were hits of the in-process cache.
func crawl(t *testing.T, e *Server, rounds, crawled int) (hits, requests int) {
	t.Helper()
	const visited = 50
	photo := int64(1000)
	for round := range rounds {
		for i := range int64(visited) {
			tier := tierOf(t, e, "/photos/popular"+itoa(i+1))
			if round < 5 { // until the cache knows how popular they are
				continue
			}
			if requests++; tier == "near" {
				hits++
			}
		}
		for range crawled {
			photo++
			tierOf(t, e, "/photo/"+itoa(photo))
		}
	}
	return hits, requests
}

// TestCrawlerEvictsNothing: a crawler that requests twenty times what the in-process cache holds evicts no popular
// page.
func TestCrawlerEvictsNothing(t *testing.T) {
	t.Parallel()
	const limit, rounds, crawled = 1 << 20, 40, 150
	s := newFillSite(t, 2, 1, func(c *Config) { c.MemoryBytes = limit }, storeListOften)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		r.Body = []byte(strings.Repeat("x", 4000))
		return r
	})
	alone, requests := crawl(t, s.edges[0], rounds, 0)
	beside, _ := crawl(t, s.edges[1], rounds, crawled)
	t.Logf("%d requests: %d hits alone, %d hits beside a crawler that requested %.0f times what the cache holds",
		requests, alone, beside, float64(rounds*crawled*4000)/limit)
	if alone < requests*9/10 || beside < alone*9/10 {
		t.Errorf("%d requests: %d hits alone, %d hits beside the crawler", requests, alone, beside)
	}
	list := s.storedList()
	if len(list) == 0 {
		t.Error("the list is empty")
	}
	for _, counted := range list {
		if counted.Ref.Kind() != page.KindUser {
			t.Errorf("the crawler's %s is on the list with %d requests", counted.Ref, counted.Count)
		}
	}
	s.settle()
	for photo := int64(1001); photo < 1001+rounds*crawled; photo++ {
		if s.stored(page.Photo(photo)) != nil {
			t.Fatalf("memcached has photo %d, which only the crawler requested", photo)
		}
	}
}

package edge

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// crawl walks through pages that nobody else asks for, while visitors go on with theirs, and counts the visitors' hits.
func crawl(t *testing.T, e *Server, rounds, crawled int) (hits, asked int) {
	t.Helper()
	const visited = 50
	walked := int64(1000)
	for round := range rounds {
		for i := range int64(visited) {
			tier := tierOf(t, e, "/photos/hot"+itoa(i+1))
			if round < 5 { // to get to know them
				continue
			}
			if asked++; tier == "near" {
				hits++
			}
		}
		for range crawled {
			walked++
			tierOf(t, e, "/photo/"+itoa(walked))
		}
	}
	return hits, asked
}

// TestCrawlerPushesNothingOut: a walk through thirty times what the near cache holds.
func TestCrawlerPushesNothingOut(t *testing.T) {
	t.Parallel()
	const limit, rounds, crawled = 1 << 20, 40, 150
	h := newFillSite(t, 2, 1, func(c *Config) { c.MemoryBytes = limit }, storeListOften)
	h.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := h.standard(ref)
		r.Body = []byte(strings.Repeat("x", 4000))
		return r
	})
	alone, asked := crawl(t, h.edges[0], rounds, 0)
	beside, _ := crawl(t, h.edges[1], rounds, crawled)
	t.Logf("near hits of %d: %d alone, %d beside a crawler who saw %.0f times what the near cache holds", asked, alone, beside, float64(rounds*crawled*4000)/limit)
	if alone < asked*9/10 || beside < alone*9/10 {
		t.Errorf("near hits of %d: %d alone, %d beside the crawler", asked, alone, beside)
	}
	for _, hot := range h.storedList() {
		if hot.Ref.Kind() != page.KindUser {
			t.Errorf("the crawler's %s is in demand %d times", hot.Ref, hot.Count)
		}
	}
	h.settle()
	for photo := int64(1001); photo < 1001+rounds*crawled; photo++ {
		if h.stored(page.Photo(photo)) != nil {
			t.Fatalf("the crawler had photo %d filled", photo)
		}
	}
}

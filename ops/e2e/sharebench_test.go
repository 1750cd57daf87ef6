package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkRevokeShare revokes a link that four visitors look at again and again, each through another edge.
// revoked-p50 and revoked-p99 say how long after the answer to the owner's form a request began that was still shown
// the photo; below 0 there was none. look-p50 is what one look takes meanwhile.
func BenchmarkRevokeShare(b *testing.B) {
	s := newPeopleSite(b)
	p := s.person("revoker")
	p.signUp(0)
	photo := fmt.Sprint(s.post("revoker", 5) + 4)
	var late, looks []time.Duration
	var mu sync.Mutex
	for b.Loop() {
		link := p.link(0, url.Values{"photo": {photo}})
		last := make([]time.Time, len(s.urls))
		var visitors, seen sync.WaitGroup
		seen.Add(len(s.urls))
		for i := range s.urls {
			visitor := s.person("")
			visitors.Go(func() {
				first := sync.OnceFunc(seen.Done)
				for {
					begun := time.Now()
					if visitor.get(i, link).status != http.StatusOK {
						first()
						return
					}
					first()
					last[i] = begun
					mu.Lock()
					looks = append(looks, time.Since(begun))
					mu.Unlock()
				}
			})
		}
		seen.Wait()
		p.unlink(1)
		revoked := time.Now()
		visitors.Wait()
		late = append(late, slices.MaxFunc(last, time.Time.Compare).Sub(revoked))
	}
	slices.Sort(late)
	slices.Sort(looks)
	b.ReportMetric(late[len(late)/2].Seconds()*1e3, "revoked-p50-ms")
	b.ReportMetric(late[len(late)*99/100].Seconds()*1e3, "revoked-p99-ms")
	b.ReportMetric(looks[len(looks)/2].Seconds()*1e3, "look-p50-ms")
}

// BenchmarkPopularLink is what a link costs that many look at: each page, and each picture of a private photo, is asked
// of a renderer.
func BenchmarkPopularLink(b *testing.B) {
	s := newPeopleSite(b)
	p := s.person("popular")
	p.signUp(0)
	photo := fmt.Sprint(s.post("popular", 5) + 4)
	link := p.link(0, url.Values{"photo": {photo}})
	for name, path := range map[string]string{"page": link, "picture": link + "/" + photo + "/640.jpg"} {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(all *testing.PB) {
				visitor := s.person("")
				for i := 0; all.Next(); i++ {
					if got := visitor.get(i%len(s.urls), path); got.status != http.StatusOK {
						b.Errorf("%s: %d", name, got.status)
						return
					}
				}
			})
		})
	}
}

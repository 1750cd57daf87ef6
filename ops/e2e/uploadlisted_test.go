package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// BenchmarkUploadListed uploads photos of 12 megapixels and about 5 MB, one by one, each once the site is idle again.
// It reports how long after its last byte the upload is answered, how long until the photo is on its owner's page at
// every edge, and how long until the browser has been told of its small pictures and has got one.
//
//	go test ./ops/e2e -run '^$' -bench UploadListed -benchtime 60x
func BenchmarkUploadListed(b *testing.B) {
	s := newUploadSite(b, 2, 2)
	p := s.signUp("vivian")
	u := newSender(b, p, s.urls)
	u.wait = func(context.Context) { time.Sleep(100 * time.Millisecond) } // until the edge has read what was sent
	photo := testenv.LargePhoto(b)
	events := p.uploadEvents(0)
	var answered, listed, seen []time.Duration
	for n := range b.N {
		data := append(slices.Clone(photo), fmt.Sprint(n)...)
		f := &sentFile{name: fmt.Sprintf("listed-%05d.jpg", n), data: data, first: n}
		f.key, f.cuts = f.name, []int{len(f.data) - 1024}
		last := make(chan time.Time, 1)
		f.whenSent = func() { last <- time.Now() }
		ended := make(chan error, 1)
		go func() { ended <- u.upload(b.Context(), f) }()
		at := <-last
		on := make(chan time.Time, len(s.urls))
		for _, url := range s.urls {
			go func() {
				on <- whenListed(b, u.client, url+page.User(p.name).Path(), strings.TrimSuffix(f.name, ".jpg"))
			}()
		}
		must(b, <-ended)
		answered = append(answered, time.Since(at))
		slowest := time.Duration(0)
		for range s.urls {
			slowest = max(slowest, (<-on).Sub(at))
		}
		listed = append(listed, slowest)
		for e := range events {
			if e.ID == path.Base(f.path) && e.Stage == wire.UploadThumbnails {
				break
			}
		}
		small := pictureLink.FindString(p.get(0, f.photo).body)
		if got := p.get(0, path.Join(path.Dir(small), "320.jpg")); got.header.Get("Content-Type") != "image/jpeg" {
			b.Fatalf("the small picture of %s: %d", f.name, got.status)
		}
		seen = append(seen, time.Since(at))
		testenv.Eventually(b, "all pictures are made", func() bool {
			return column[int](s, "SELECT count(*) FROM unmade_pictures")[0] == 0
		})
	}
	reportTimes(b, "answered", answered)
	reportTimes(b, "listed", listed)
	reportTimes(b, "thumbnail", seen)
	b.ReportMetric(0, "ns/op")
}

// whenListed asks for a page until it has a text, and returns when it had.
func whenListed(t testing.TB, client *http.Client, url, text string) time.Time {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		_, _, body, err := testenv.Fetch(t.Context(), client, url)
		now := time.Now()
		if err == nil && strings.Contains(body, text) {
			return now
		}
		if now.After(end) {
			t.Errorf("%s does not show %s: %v", url, text, err)
			return now
		}
	}
}

// uploadEvent is what the page's script is told.
type uploadEvent struct {
	ID    string `json:"id"`
	Stage string `json:"stage"`
}

// uploadEvents is what happens to a person's uploads, as an edge tells it.
func (p *person) uploadEvents(edge int) <-chan uploadEvent {
	p.s.t.Helper()
	r, err := http.NewRequestWithContext(p.s.t.Context(), http.MethodGet, p.s.urls[edge]+page.PathUploadEvents, nil)
	must(p.s.t, err)
	client := *p.client
	client.Timeout = 0
	answer, err := client.Do(r)
	must(p.s.t, err)
	if answer.StatusCode != http.StatusOK {
		p.s.t.Fatalf("events of uploads: %s", answer.Status)
	}
	events := make(chan uploadEvent, 10_000)
	go func() {
		defer close(events)
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			var e uploadEvent
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if ok && json.Unmarshal([]byte(data), &e) == nil {
				events <- e
			}
		}
	}()
	return events
}

// reportTimes reports the median, the 99th percentile and the largest of some times.
func reportTimes(b *testing.B, what string, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	for unit, q := range map[string]float64{"p50-ms": .5, "p99-ms": .99, "max-ms": 1} {
		b.ReportMetric(float64(times[int(q*float64(len(times)-1))].Microseconds())/1000, what+"-"+unit)
	}
}

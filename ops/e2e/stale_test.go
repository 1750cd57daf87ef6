package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// TestStaleRatherThanNothing stops the services and renderers one by one. Pages that an edge has had are shown, marked
// as stale; pages known to be gone are not; other pages are answered 503 with a time to retry.
func TestStaleRatherThanNothing(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	for _, c := range []struct {
		what         string
		ownPostgres  bool
		break_, mend func(*testing.T, *site, *stack.Postgres)
	}{
		{"renderers", false,
			func(_ *testing.T, s *site, _ *stack.Postgres) { s.scale(0) },
			func(_ *testing.T, s *site, _ *stack.Postgres) { s.scale(1) }},
		{"Postgres", true,
			func(t *testing.T, _ *site, p *stack.Postgres) { p.Kill() },
			func(t *testing.T, _ *site, p *stack.Postgres) { must(t, p.Restart(t.Context())) }},
		{"frozen Postgres", true,
			func(t *testing.T, _ *site, p *stack.Postgres) { must(t, p.Freeze()) },
			func(t *testing.T, _ *site, p *stack.Postgres) { must(t, p.Thaw()) }},
		{"NATS", false,
			func(_ *testing.T, s *site, _ *stack.Postgres) { s.bus.Stop() },
			func(t *testing.T, s *site, _ *stack.Postgres) { must(t, s.bus.Restart()) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			if !c.ownPostgres {
				s := newSite(t, 1, 1)
				s.staleRatherThanNothing(t, chromium, func() { c.break_(t, s, nil) }, func() { c.mend(t, s, nil) })
				return
			}
			postgres := testenv.Postgres(t)
			must(t, seed(t.Context(), t, postgres.URL(), sharedPictures(t), users, photos))
			s := newSiteOn(t, postgres.URL(), sharedPictures(t), 1, 1)
			s.staleRatherThanNothing(
				t, chromium, func() { c.break_(t, s, postgres) }, func() { c.mend(t, s, postgres) },
			)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) staleRatherThanNothing(t *testing.T, chromium context.Context, breakIt, mend func()) {
	client := newClient(t, 4)
	at := func(path string) (status int, header http.Header, took time.Duration) {
		t.Helper()
		begun := time.Now()
		status, header, _, err := testenv.Fetch(t.Context(), client, s.urls[0]+path)
		must(t, err)
		return status, header, time.Since(begun)
	}
	warm := []string{"/photos/" + s.names[0], "/photos/" + s.names[1], "/photos/" + s.names[2]}
	photo := func(owner string) string {
		return fmt.Sprintf(
			"/photo/%d",
			column[int64](
				s, "SELECT max(p.id) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1 AND NOT private",
				owner,
			)[0],
		)
	}
	gone := photo(s.names[3])
	for range 3 {
		for _, path := range append(slices.Clone(warm), gone) {
			if status, _, _ := at(path); status != http.StatusOK {
				t.Fatalf("%s: %d", path, status)
			}
		}
	}
	s.exec("UPDATE photos SET private = true WHERE '/photo/' || id = $1", gone)
	testenv.Eventually(
		t, "the edge knows that it is gone",
		func() bool { status, _, _ := at(gone); return status == http.StatusNotFound },
	)

	tab, closeTab := chromedp.NewContext(chromium)
	defer closeTab()
	tab, stop := context.WithTimeout(tab, 5*time.Minute)
	defer stop()
	must(t, chromedp.Do(tab, chromedp.Navigate(s.urls[0]+warm[0]))) // style sheet and script are in its cache too

	breakIt()
	// An edge relies on its copies until the heartbeats have stopped for a while; from then on it marks them as stale.
	for _, path := range warm {
		testenv.Eventually(t, path+" is shown as stale", func() bool {
			status, header, _ := at(path)
			if status != http.StatusOK {
				t.Fatalf("%s: %d, %v", path, status, header)
			}
			return header.Get("X-Cache") == "stale" && header.Get("Cache-Control") == "no-store"
		})
	}
	if status, header, _ := at(gone); status == http.StatusOK {
		t.Errorf("what is gone is shown, from %s", header.Get("X-Cache"))
	}
	var slowest time.Duration
	for _, name := range s.names[4:14] {
		status, header, took := at("/photos/" + name)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			t.Errorf("in no cache: %d %v", status, header)
		}
		slowest = max(slowest, took)
	}
	t.Logf("the slowest 503 of 10 took %v", slowest)
	checkStaleNotice(t, tab, s.urls[0]+warm[0])

	mend()
	testenv.Eventually(t, "pages are made again, and trusted", func() bool {
		status, header, _ := at("/photos/" + s.names[5])
		return status == http.StatusOK && header.Get("X-Cache") == "near"
	})
}

// checkStaleNotice checks what a visitor reads on a stale page.
func checkStaleNotice(t *testing.T, tab context.Context, url string) {
	t.Helper()
	must(t, chromedp.Do(tab, chromedp.Navigate(url)))
	testenv.Eventually(t, "a line on the page says so", func() bool {
		text, err := chromedp.Run(
			tab,
			chromedp.Evaluate[string](
				`(() => { const l = document.querySelector(".stale"); return l.checkVisibility() ? l.textContent : "" })()`,
			),
		)
		return err == nil && text == "From a moment ago; looking for news…"
	})
}

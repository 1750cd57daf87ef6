package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"flickrkillr/templates"
)

// TestBusyPageAsksAgainOnce: the page of a 503 reloads itself once, later than Retry-After and at a random time, and
// not a second time.
func TestBusyPageAsksAgainOnce(t *testing.T) {
	t.Parallel()
	assets, err := templates.LoadAssets()
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isAsset := strings.CutPrefix(r.URL.Path, "/static/")
		a, known := assets.Get(name)
		switch {
		case isAsset && known:
			w.Header().Set("Content-Type", a.Type)
			_, _ = w.Write(a.Body)
		case r.URL.Path == "/search":
			asked.Add(1)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = templates.Error(templates.ErrorPage{
				Site: templates.Site{Assets: assets}, Status: http.StatusServiceUnavailable,
			}).Render(r.Context(), w)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	ctx, stop := context.WithTimeout(browser(t), time.Minute)
	defer stop()
	// Timers of a second or more run at once, and are recorded.
	const hasty = `window.waits = []; { const real = window.setTimeout; window.setTimeout = (f, ms) => ms < 1000 ? real(f, ms) : (waits.push(ms),
		sessionStorage.waited = (sessionStorage.waited ?? "") + ms + " ", real(f, 0)) }`
	err = chromedp.Do(ctx,
		chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(
				ctx, tab, page.AddScriptToEvaluateOnNewDocument,
				page.AddScriptToEvaluateOnNewDocumentParams{Source: hasty},
			)
			return err
		}),
		chromedp.Navigate(server.URL+"/search?q=a"))
	if err != nil {
		t.Fatal(err)
	}
	const state = `[performance.getEntriesByType("navigation")[0].type, document.readyState, waits.length, sessionStorage.waited].join(" ")`
	var seen string
	for seen = ""; !strings.HasPrefix(seen, "reload complete"); {
		if ctx.Err() != nil {
			t.Fatalf("it did not ask again: %s", seen)
		}
		if now, err := chromedp.Run(ctx, chromedp.Evaluate[string](state)); err == nil { // else it is being loaded
			seen = now
		}
	}
	var waiting int
	var waited float64
	if n, err := fmt.Sscanf(seen, "reload complete %d %f", &waiting, &waited); n != 2 || err != nil || waiting != 0 ||
		waited < 4000 || waited > 8000 || waited == 4000 {
		t.Errorf(
			"having loaded itself again, it waits for %d more times, and had waited for %v ms: %s", waiting, waited,
			seen,
		)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked for %d times", n)
	}
}

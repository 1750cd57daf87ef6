package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
)

// What axe-core looks for. Only contrast depends on the colour scheme.
const (
	allBarriers  = `{resultTypes: ["violations"]}`
	paleBarriers = `{resultTypes: ["violations"], runOnly: ["color-contrast"]}`
)

// barriersAt is what axe-core looks for where a page is shown at several widths, light and dark, so that it looks for
// nothing twice; "" is nothing.
func barriersAt(width int64, dark bool) string {
	switch {
	case width == 360 && !dark:
		return allBarriers
	case width == 800 && dark:
		return paleBarriers
	}
	return ""
}

// barriers has axe-core look for barriers in the page that a tab shows, and returns one line for each element.
func barriers(t testing.TB, ctx context.Context, options string) []string {
	t.Helper()
	script, err := os.ReadFile(testenv.PageChecks(t).Axe)
	if err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](string(script)+`;
		axe.run(document, `+options+`).then(r => r.violations.flatMap(v => v.nodes.map(n =>
			v.id + ": " + n.html.slice(0, 200) + ": " + n.failureSummary.replace(/\s+/g, " "))))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("axe-core: %v", err)
	}
	return found
}

// TestAxeFindsBarriers: a page with barriers is found to have them, so a page without findings has been looked at.
func TestAxeFindsBarriers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html><title>x</title><body style="background: #fff"><main><h1>x</h1>
			<input><img src="/x.png"><p style="color: #ccc">pale</p></main>`)
	}))
	t.Cleanup(server.Close)
	b := newTab(t, browser(t), server.URL)
	b.open("/")
	found := barriers(t, b.ctx, allBarriers)
	for _, rule := range []string{"label", "image-alt", "color-contrast", "html-has-lang"} {
		if !slices.ContainsFunc(found, func(line string) bool { return strings.HasPrefix(line, rule+":") }) {
			t.Errorf("not found: %s; found: %q", rule, found)
		}
	}
}

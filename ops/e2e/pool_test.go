package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
)

// TestPoolPage: the page /pool of any role shows all roles, at every width, and follows who comes without a reload.
func TestPoolPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	parent := browser(t)
	for role, view := range map[roles.Role]struct {
		width int64
		dark  bool
	}{roles.Edge: {360, true}, roles.Renderer: {800, false}, roles.Cachefill: {1440, true}} {
		openPage(t, parent, s.roles.DebugURLs(role)[0]+"/pool", view.width, view.dark)
	}
	ctx, cancel := chromedp.NewContext(parent)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Navigate(s.roles.DebugURLs(roles.Edge)[0]+"/pool")); err != nil {
		t.Fatal(err)
	}
	shows := func(what, script string) {
		t.Helper()
		testenv.Within(t, time.Minute, what, func() bool {
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script))
			return err == nil && ok
		})
	}
	const renderers = `document.querySelectorAll("section:nth-of-type(3) tbody tr").length`
	shows("one renderer is shown", `(window.same = document.querySelector("h1"), `+renderers+` === 1)`)
	s.scale(2)
	shows("the second renderer is shown on the page as it was",
		renderers+` === 2 && window.same === document.querySelector("h1")`)
}

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
)

// tab is one tab of a browser, which a test uses as a visitor does.
type tab struct {
	t      testing.TB
	ctx    context.Context
	base   string // the edge's address, without a slash at the end
	noted  *visit
	opened bool
}

// tabTime bounds what a test does in a tab. A test of all pages does much.
const tabTime = 10 * time.Minute

// newTab opens a tab with its own session storage.
func newTab(t testing.TB, parent context.Context, base string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, tabTime)
	t.Cleanup(stop)
	noted, err := listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &tab{t: t, ctx: ctx, base: base, noted: noted}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to a path, by way of another document, so that a path that differs in its fragment only is loaded, too.
func (b *tab) open(path string) {
	b.t.Helper()
	if b.opened {
		b.do(chromedp.Navigate("about:blank"))
	}
	b.opened = true
	b.do(chromedp.Navigate(b.base + path))
}

// size makes the window so large; with touch it is a phone's.
func (b *tab) size(width, height int64, touch bool) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(
		width, height,
		func(p *emulation.SetDeviceMetricsOverrideParams, q *emulation.SetTouchEmulationEnabledParams) {
			p.Mobile, q.Enabled = touch, touch
		},
	))
}

// ask evaluates an expression of JavaScript.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// becomes waits until an expression of JavaScript is true. One that cannot be evaluated just now, between two
// documents, is not.
func (b *tab) becomes(expression string) {
	b.t.Helper()
	testenv.Eventually(b.t, expression, func() bool {
		v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && v
	})
}

// noProblems fails the test for each error that the tab has logged, thrown or met.
func (b *tab) noProblems() {
	b.t.Helper()
	b.noted.mu.Lock()
	defer b.noted.mu.Unlock()
	for _, problem := range b.noted.problems {
		b.t.Error(problem)
	}
}

// cookieNames lists the cookies that the browser sends to the site, those that scripts cannot read included.
func (b *tab) cookieNames() (names []string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		got, err := cdp.Call(ctx, tab, network.GetCookies, network.GetCookiesParams{URLs: []string{b.base + "/"}})
		if err != nil {
			return err
		}
		for _, c := range got.Cookies {
			names = append(names, c.Name)
		}
		return nil
	}))
	return names
}

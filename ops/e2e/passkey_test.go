package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// passkeyInBrowser: somebody adds a passkey in Chromium, and signs in with it without typing anything. Browsers allow
// passkeys at localhost, and not at 127.0.0.1.
func passkeyInBrowser(t *testing.T, parent context.Context, s *peopleSite, name, password string) {
	base := strings.Replace(s.urls[3], "127.0.0.1", "localhost", 1)
	b := newTab(t, parent, base)
	press := func() { t.Helper(); ask[bool](b, `(document.querySelector("main button").click(), true)`) }
	b.addAuthenticator()
	b.open("/signin?next=%2Fme%2Fpasskeys%2Fnew")
	b.do(chromedp.SendKeys("#name", name), chromedp.SendKeys("#password", password))
	press()
	b.becomes(`location.pathname === "/me/passkeys/new" && !!document.querySelector("#password")`)
	b.do(chromedp.SendKeys("#password", password))
	press()
	b.becomes(`!!document.querySelector("#label")?.checkVisibility()`)
	b.do(chromedp.SendKeys("#label", "Blue key"))
	press()
	b.becomes(`location.pathname === "/me/passkeys" && document.querySelector("h2").textContent === "Blue key"`)
	openPage(t, parent, base+"/me/passkeys", 360, true)
	openPage(t, parent, base+"/me/passkeys/new", 1440, false)
	b.open("/me")
	press()
	b.becomes(`location.pathname === "/"`)
	openPage(t, parent, base+"/signin", 360, false)
	b.open("/signin")
	// The browser may offer the passkey by itself, and this authenticator always agrees.
	b.becomes(`location.pathname === "/me" || document.querySelector("form[data-passkey]").checkVisibility()`)
	b.becomes(`location.pathname === "/me" || !window.pressed &&
		(window.pressed = true, document.querySelector("form[data-passkey] button").click(), false) ||
		[...document.querySelectorAll(".problem")].some((p) => p.textContent)`)
	b.becomes(fmt.Sprintf(`location.pathname === "/me" &&
		document.querySelector("main")?.innerText.includes(%q)`, strings.ToLower(name)))
	b.noProblems()
}

// addAuthenticator gives the tab an authenticator that agrees to everything.
func (b *tab) addAuthenticator() {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{Protocol: "ctap2", Transport: "internal",
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
				AutomaticPresenceSimulation: true}})
		return err
	}))
}

package wire

// Actions with passkeys, which are actions of people, see [ActionSignUp]. An answer is what the authenticator has given
// to the browser, as JSON.
const (
	// password: answered by a page with which the browser makes a passkey
	ActionPasskeyBegin  = "account.passkey.begin"
	ActionPasskeyAdd    = "account.passkey.add"    // label, passkey: the answer
	ActionPasskeyRename = "account.passkey.rename" // id, label
	ActionPasskeyRemove = "account.passkey.remove" // id
	// passkey: the answer; next: as in ActionSignIn. The reply has HeaderAccount. The edge makes a key for each request
	// of a browser, so that only its own repetitions get the reply again.
	ActionPasskeySignIn = "account.passkey.signin"
)

// Headers of requests for pages and actions with passkeys. Only edges may set them, as with HeaderUser.
const (
	HeaderOrigin  = "Killr-Origin"  // of the site, as the browser knows it, such as "https://photos.example"
	HeaderBrowser = "Killr-Browser" // a secret that one browser has
)

// Notices about passkeys.
const (
	NoticePasskeyAdded   = "passkey-added"
	NoticePasskeyRenamed = "passkey-renamed"
	NoticePasskeyRemoved = "passkey-removed"
)

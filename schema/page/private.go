package page

// Private names a page of one person: a form, or what only that person may see. It is not a [Ref], so nothing that
// shares, keeps or fills pages can be given one.
type Private uint8

// Private pages. Those before PrivateMe need no session.
const (
	PrivateSignIn Private = iota
	PrivateSignUp
	PrivateReceipt  // of an account that was deleted, for who knows its address
	PrivateRecover  // a recovery code sets a new password
	PrivateMailLink // mails a link that does
	PrivateReset    // is such a link
	PrivateMe
	PrivatePassword
	PrivateSessions
	PrivateProfile
	PrivateDelete
	PrivateTokens // API tokens
	PrivateCodes  // new recovery codes
	PrivatePasskeys
	PrivateNewPasskey
	PrivateEmail
	PrivateConfirm // is a link that confirms an address
	PrivateUpload

	privateCount = int(iota)
)

// Paths without a page.
const (
	PathSignOut      = "/signout"       // takes a POST that ends the session
	PathUploadFiles  = "/upload/files"  // takes files by tus; an upload is at PathUploadFiles + "/" + its id
	PathUploadEvents = "/upload/events" // tells what happens to a person's uploads (Server-Sent Events)
)

var privates = [privateCount]struct{ name, path string }{
	{"signin", "/signin"}, {"signup", "/signup"}, {"receipt", "/receipt"}, {"recover", "/recover"},
	{"mail-link", "/recover/link"}, {"reset", "/reset"}, {"me", "/me"}, {"password", "/me/password"},
	{"sessions", "/me/sessions"}, {"profile", "/me/profile"}, {"delete", "/me/delete"}, {"tokens", "/me/tokens"},
	{"codes", "/me/codes"}, {"passkeys", "/me/passkeys"}, {"new-passkey", "/me/passkeys/new"},
	{"email", "/me/email"}, {"confirm", "/confirm"},
	{"upload", "/upload"},
}

// Privates lists all private pages.
func Privates() []Private {
	all := make([]Private, privateCount)
	for i := range all {
		all[i] = Private(i)
	}
	return all
}

// ParsePrivate returns the private page at a path, which has no other spelling.
func ParsePrivate(path string) (Private, bool) {
	for i := range privates {
		if privates[i].path == path {
			return Private(i), true
		}
	}
	return 0, false
}

// String is the name of the page in subjects and logs, such as "signin".
func (p Private) String() string { return privates[p].name }

// Path is where browsers find the page.
func (p Private) Path() string { return privates[p].path }

// Subject is where renderers are asked for the page: "private.signin".
func (p Private) Subject() string { return "private." + privates[p].name }

// NeedsSession reports whether only a person who is signed in has the page.
func (p Private) NeedsSession() bool { return p >= PrivateMe }

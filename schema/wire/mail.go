package wire

// Actions about mail, which are actions of people, see [ActionSignUp]. A token is what a mailed link has in it.
const (
	// to, a name or an address: mails a link if there is somebody to mail it to, later. The answer does not tell.
	ActionMailLink = "account.link"
	ActionReset    = "account.reset"   // token, password: sets the password; the reply has HeaderAccount
	ActionEmail    = "account.email"   // email, or "" for none, password: mails a link that confirms the address
	ActionConfirm  = "account.confirm" // token: gives the person who has asked for the link its address
)

// Notices about mail.
const (
	NoticeMailLink     = "link"          // a link is on its way, if there is somebody to mail it to
	NoticeEmailSent    = "email-sent"    // a link that confirms an address is on its way
	NoticeEmailRemoved = "email-removed" // the address is removed
	NoticeConfirmed    = "email"         // the address is confirmed
)

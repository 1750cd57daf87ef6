package edge

import (
	"net/url"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// pathOf is where a visitor without a session wants to go: to a page, or a mailed link.
func pathOf(ref page.PrivateRef, query url.Values) string {
	if token := query.Get("token"); byLink(ref.Private) && token != "" {
		return ref.Path() + "?" + url.Values{"token": {token}}.Encode()
	}
	if id := query.Get("id"); ref.Private == page.PrivatePhotoReceipt && id != "" {
		return photoReceiptPath(id)
	}
	return ref.Path()
}

// byLink reports whether a page is opened by a mailed link, which has a token in its query.
func byLink(kind page.Private) bool { return kind == page.PrivateReset || kind == page.PrivateConfirm }

// longestToken bounds the token in a link, which has 43 characters.
const longestToken = 64

// linkValues are what a page shows of the link that it was opened by.
func linkValues(query url.Values) url.Values {
	token := query.Get("token")
	if len(token) > longestToken {
		return nil
	}
	return url.Values{"token": {token}}
}

// afterMail is where a form about mail leads to.
func afterMail(kind page.Private, form url.Values) string {
	to, notice := kind, wire.NoticeMailLink
	switch {
	case kind == page.PrivateEmail && form.Get("email") == "":
		notice = wire.NoticeEmailRemoved
	case kind == page.PrivateEmail:
		notice = wire.NoticeEmailSent
	case kind == page.PrivateConfirm:
		to, notice = page.PrivateMe, wire.NoticeConfirmed
	}
	return to.Path() + "?" + url.Values{"notice": {notice}}.Encode()
}

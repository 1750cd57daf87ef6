package templates

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"flickrkillr/schema/page"
)

// PrivatePage is a page for one person, or a form. Which fields count depends on Kind.
type PrivatePage struct {
	Site     Site
	Kind     page.Private
	Form     Form
	Person   Person        // who is signed in
	Bio      string        // theirs
	Codes    int           // recovery codes that they have left
	Sessions []SessionCard // theirs, the one last seen first
	Has      Holdings      // what they have
	HasMore  bool          // photos, tags and files are more than Has says
	Tokens   []TokenCard   // theirs, the one used last first
	Made     MadeToken     // the token that was made just now; zero: none
	Uploads  []UploadLine  // what became of the files that were sent just now

	Photos  []OwnCard   // a page of their own photos, the bin, or the one that the form is about
	List    OwnList     // what the page of photos is
	Bin     Bin         // what the page of the bin is
	Older   int64       // position of the next page of links; 0: there is none
	Shares  []ShareCard // a page of their links, newest first
	Link    string      // by which whoever has it sees the unlisted photo that the form is about; "": it is none
	Shared  string      // the title of the photo or album that a new link is to show; "": none is to be made
	Undo    []int64     // photos that they have just changed, or the link that they have just revoked
	UndoBy  string      // what takes that back: "restore", "public", "unshow", "untag", "tag", or of a link "back"
	UndoTag string      // the tag for those two
	Tags    []string    // that they use most

	Albums        []OwnAlbumCard // a page of their own albums
	Album         OwnAlbum       // the one that the forms are about, whose photos are in Photos
	HEIC          bool           // HEIC pictures are taken
	AlbumNames    []string       // what they call their albums: those that photos go into, or other albums
	Takeouts      []TakeoutCard  // their zip files, the newest first
	TakeoutAlbums []TakeoutAlbum // of which zip files can be made

	CanMail bool   // the site sends mail
	Email   string // theirs; "" if they have none
	// The address that a link would give them; "": it is no link of theirs.
	Confirms string

	Passkeys       []PasskeyCard // theirs, the one added first in front
	PasskeyHost    string        // of the site, for which a new passkey would count; "": browsers allow none here
	PasskeyOptions string        // JSON with which the browser uses a passkey, or makes one; "": it may not
}

// Form is the state of a form: empty, or as it was sent with what is wrong with it.
type Form struct {
	Key      string            // names the attempt, so that sending the form twice does it once
	Next     string            // the path to go to afterwards; "" for the usual one
	Notice   string            // a sentence about what has just happened; "" for none
	Values   map[string]string // what was typed, by field, without passwords and codes
	Problems map[string]string // what is wrong, by field, such as "is taken: choose another"; "form": all of it
}

// FormProblem is the key of Problems for what is wrong with the form as a whole, which is a sentence without its full
// stop.
const FormProblem = "form"

// SessionCard is a session in the list of a person's own.
type SessionCard struct {
	ID            string
	Agent         string // such as "Firefox on Linux"; "" is not known
	Created, Seen time.Time
	Current       bool // it is the one that asks
}

func (c SessionCard) agent() string {
	if c.Agent == "" {
		return "Unknown browser"
	}
	return clean(c.Agent)
}

// TokenCard is an API token in the list of a person's own.
type TokenCard struct {
	ID            string
	Name          string
	Write         bool
	Created, Seen time.Time
}

// MadeToken is a new API token, which is shown once.
type MadeToken struct {
	Token string
	Name  string
	Write bool
}

// access says what a token may do.
func access(write bool) string {
	if write {
		return "may read and write"
	}
	return "may read"
}

// CodesPage shows new recovery codes, once.
type CodesPage struct {
	Site    Site
	Person  Person
	Codes   []string
	Renewed bool // they replace others; false: they are those of a new account
	// Email is the address that a link is mailed to, or with Unmailed could not be; "": none is.
	Email    string
	Unmailed bool
}

// Private is the view of a private page.
func Private(p PrivatePage) templ.Component {
	switch p.Kind {
	case page.PrivateSignUp:
		return signUp(p)
	case page.PrivateRecover:
		return recoverForm(p)
	case page.PrivateMe:
		return me(p)
	case page.PrivatePassword:
		return passwordForm(p)
	case page.PrivateSessions:
		return sessions(p)
	case page.PrivateProfile:
		return profileForm(p)
	case page.PrivateDelete:
		return deleteForm(p)
	case page.PrivateTokens:
		return tokens(p)
	case page.PrivateCodes:
		return codesForm(p)
	case page.PrivateMailLink:
		return mailLinkForm(p)
	case page.PrivateReset:
		return resetForm(p)
	case page.PrivateConfirm:
		return confirmForm(p)
	case page.PrivateEmail:
		return emailForm(p)
	case page.PrivatePasskeys:
		return passkeys(p)
	case page.PrivateNewPasskey:
		return newPasskey(p)
	case page.PrivateUpload:
		return upload(p)
	case page.PrivatePhotos:
		if p.List.Part {
			return ownPart(p)
		}
		return ownPhotos(p)
	case page.PrivatePhoto:
		return ownPhoto(p)
	case page.PrivateBin:
		return ownBin(p)
	case page.PrivateAlbums:
		return ownAlbums(p)
	case page.PrivateAlbum:
		return ownAlbum(p)
	case page.PrivateShares:
		return shares(p)
	case page.PrivateTakeout:
		return takeout(p)
	}
	return signIn(p)
}

// withNext is the path of a form that leads to p.Form.Next afterwards.
func (p PrivatePage) withNext(to page.Private) string {
	if p.Form.Next == "" {
		return to.Path()
	}
	return to.Path() + "?" + nextQuery(p.Form.Next)
}

func (p PrivatePage) frame(title string) frame {
	return frame{site: p.Site, kind: "text", title: title, description: title + ".", noIndex: true}
}

// describedBy lists the ids of the texts about a field: its hint, and what is wrong with it.
func (f Form) describedBy(in input) string {
	var ids []string
	if in.hint != "" {
		ids = append(ids, in.name+"-hint")
	}
	if f.Problems[in.name] != "" {
		ids = append(ids, in.name+"-problem")
	}
	return strings.Join(ids, " ")
}

// secret is a field whose text is not shown.
func secret(name, label, autocomplete string) input {
	return input{name: name, label: label, kind: "password", autocomplete: autocomplete}
}

// input is one field of a form.
type input struct {
	name, label, kind, autocomplete string
	maxLength                       int // characters, 0: no limit
	hint                            string
	list                            string // the id of a datalist; "": none
	optional                        bool
}

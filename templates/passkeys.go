package templates

import "time"

// PasskeyCard is a passkey in the list of a person's own.
type PasskeyCard struct {
	ID      string
	Label   string // as they call it
	Host    string // of the site, for which it counts
	Created time.Time
	Used    time.Time // the zero Time: not yet
}

// passkeyFrame is the frame of a page whose script talks to authenticators, if it has anything to do there.
func (p PrivatePage) passkeyFrame(title string) frame {
	f := p.frame(title)
	if p.PasskeyOptions != "" {
		f.script = "passkey.js"
	}
	return f
}

// labelOf is what the field for a passkey's label has: what was typed, if that was refused.
func (p PrivatePage) labelOf(c PasskeyCard) string {
	if p.Form.Values["id"] == c.ID && p.Form.Problems["label"] != "" {
		return clean(p.Form.Values["label"])
	}
	return clean(c.Label)
}

// labelProblem is what is wrong with the label that was typed for a passkey.
func (p PrivatePage) labelProblem(c PasskeyCard) string {
	if p.Form.Values["id"] == c.ID {
		return p.Form.Problems["label"]
	}
	return ""
}

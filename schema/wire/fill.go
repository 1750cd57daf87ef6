package wire

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
)

// Fill is a note to the cachefills: make memcached hold a copy of the page that meets these conditions. Without
// conditions any copy does, as for `nats pub fill.page.home ""`. A note with a reply subject gets one word as answer,
// which says how it ended.
type Fill struct {
	Ref    page.Ref
	ReadAt time.Time // the copy's rows were read then or later, in cluster time; zero: whenever
	Wants  []Dep     // it shows these versions or later ones
	// how long ago the sender heard of the change that is the reason for the note; 0: there was none
	Waited time.Duration
}

// Answers to a note. Any other word says what went wrong.
const (
	FillFilled   = "filled"    // memcached holds a new copy
	FillHeld     = "held"      // it had one that is as good as the note wanted
	FillPrivate  = "private"   // the page may not be kept
	FillTooLarge = "too_large" // it is larger than memcached takes
)

// FillSubject is the subject of notes for a page.
func FillSubject(r page.Ref) string { return prefixFill + r.Subject() }

// Msg encodes the note.
func (f Fill) Msg() *nats.Msg {
	msg := nats.NewMsg(FillSubject(f.Ref))
	f.Conditions().Set(msg.Header)
	if f.Waited > 0 {
		msg.Header.Set(HeaderWaited, strconv.FormatInt(f.Waited.Microseconds(), 10))
	}
	return msg
}

// ParseFill is the inverse of [Fill.Msg]. An unreadable condition is an error.
func ParseFill(subject string, header nats.Header) (f Fill, err error) {
	if f.Ref, err = page.ParseSubject(strings.TrimPrefix(subject, prefixFill)); err != nil {
		return Fill{}, err
	}
	c, err := ParseConditions(header)
	if err != nil {
		return Fill{}, err
	}
	f.ReadAt, f.Wants = c.ReadAt, c.Wants
	if us, err := strconv.ParseInt(header.Get(HeaderWaited), 10, 64); err == nil {
		if waited, ok := micros(us); ok {
			f.Waited = waited
		}
	}
	return f, nil
}

// Conditions are those of the note.
func (f Fill) Conditions() Conditions { return Conditions{f.ReadAt, f.Wants} }

// Met reports whether a copy meets the note's conditions.
func (f Fill) Met(r *Reply) bool { return f.Conditions().Met(r.ReadAt, r.Depends) }

// And returns the note whose conditions are those of both notes, which are for the same page.
func (f Fill) And(other Fill) Fill {
	c := f.Conditions().And(other.Conditions())
	f.ReadAt, f.Wants = c.ReadAt, c.Wants
	f.Waited = max(f.Waited, other.Waited)
	return f
}

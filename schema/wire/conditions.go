package wire

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Conditions say how new an answer has to be. The zero Conditions are met by any.
type Conditions struct {
	ReadAt time.Time // its rows were read then or later, in cluster time; zero: whenever
	Wants  []Dep     // it shows these versions or later ones
}

// Set writes the conditions into the header of a message.
func (c Conditions) Set(header nats.Header) {
	if !c.ReadAt.IsZero() {
		header.Set(HeaderReadAt, FormatTime(c.ReadAt))
	}
	if len(c.Wants) > 0 {
		header.Set(HeaderWants, strings.TrimPrefix(FormatDeps(c.Wants), " "))
	}
}

// ParseConditions is the inverse of [Conditions.Set]. A condition that cannot be read is an error: who ignored it would
// take an older answer for a new one.
func ParseConditions(header nats.Header) (c Conditions, err error) {
	if text := header.Get(HeaderReadAt); text != "" {
		var ok bool
		if c.ReadAt, ok = ParseTime(text); !ok {
			return Conditions{}, fmt.Errorf("header %s: %.40q is no time", HeaderReadAt, text)
		}
	}
	if text := header.Get(HeaderWants); text != "" {
		if c.Wants, err = ParseDeps(text); err != nil {
			return Conditions{}, fmt.Errorf("header %s: %w", HeaderWants, err)
		}
	}
	return c, nil
}

// Met reports whether an answer meets the conditions whose rows were read at a time and show these versions.
func (c Conditions) Met(readAt time.Time, depends []Dep) bool {
	return !readAt.Before(c.ReadAt) && shows(depends, c.Wants)
}

// And returns conditions that are met by what meets both.
func (c Conditions) And(other Conditions) Conditions {
	if other.ReadAt.After(c.ReadAt) {
		c.ReadAt = other.ReadAt
	}
	c.Wants = slices.Clone(c.Wants)
	for _, want := range other.Wants {
		i := slices.IndexFunc(c.Wants, func(d Dep) bool { return d.Scope == want.Scope })
		switch {
		case i < 0:
			c.Wants = append(c.Wants, want)
		case c.Wants[i].Version < want.Version:
			c.Wants[i] = want
		}
	}
	return c
}

// shows reports whether none of the versions is newer than that of its scope in depends.
func shows(depends, versions []Dep) bool {
	for _, v := range versions {
		for _, d := range depends {
			if d.Scope == v.Scope && d.Version < v.Version {
				return false
			}
		}
	}
	return true
}

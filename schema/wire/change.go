package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ScopeAll is the scope that every page depends on. It changes when rows changed in a way that cannot be listed: a
// seeding, a restore, a TRUNCATE.
const ScopeAll = "all"

// PrefixPhoto begins the scope of a photo, which is followed by its id.
const PrefixPhoto = "photo."

// Change says that a scope has a new version.
type Change struct {
	Scope   string
	Version int64
	Gone    bool // something in the scope is no longer public: no earlier copy may be shown, not even as a stale one
}

// EncodeChanges encodes a batch for SubjectBatch: one line for each change, "user.ansel 18" or "user.ansel 19 gone".
func EncodeChanges(changes []Change) []byte {
	b := make([]byte, 0, 32*len(changes))
	for _, c := range changes {
		b = append(append(b, c.Scope...), ' ')
		b = strconv.AppendInt(b, c.Version, 10)
		if c.Gone {
			b = append(b, " gone"...)
		}
		b = append(b, '\n')
	}
	return b
}

// DecodeChanges is the inverse of [EncodeChanges].
func DecodeChanges(data []byte) ([]Change, error) {
	text := string(data)
	changes := make([]Change, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		scope, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		digits, gone, more := strings.Cut(rest, " ")
		version, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || !validScope(scope) || more && gone != "gone" {
			return nil, fmt.Errorf("change notice: line %q is not <scope> <version> [gone]", line)
		}
		changes = append(changes, Change{scope, version, more})
	}
	return changes, nil
}

// FormatChanges writes changes on one line, as replies with a page and read-your-writes tokens have them, each after a
// space: " user.ansel=19!", where "!" is gone, or " photo.7,9=19" for photos that follow each other with one version.
func FormatChanges(changes []Change) string { return string(appendChanges(nil, changes, math.MaxInt)) }

const (
	goneMark  = "!"
	listComma = ","
)

// appendChanges writes as many of the changes, from the first one on, as limit bytes take.
func appendChanges(b []byte, changes []Change, limit int) []byte {
	for len(changes) > 0 {
		first, n := changes[0], 1
		ending := "=" + strconv.FormatInt(first.Version, 10)
		if first.Gone {
			ending += goneMark
		}
		if len(b)+1+len(first.Scope)+len(ending) > limit {
			return b
		}
		b = append(append(b, ' '), first.Scope...)
		for _, c := range changes[1:] {
			id, photo := strings.CutPrefix(c.Scope, PrefixPhoto)
			if !photo || !strings.HasPrefix(first.Scope, PrefixPhoto) || c.Version != first.Version ||
				c.Gone != first.Gone || len(b)+len(listComma)+len(id)+len(ending) > limit {
				break
			}
			b = append(append(b, listComma...), id...)
			n++
		}
		b, changes = append(b, ending...), changes[n:]
	}
	return b
}

// ParseChanges is the inverse of [FormatChanges], whose first space may be missing.
func ParseChanges(value string) (changes []Change, err error) {
	for part := range strings.SplitSeq(strings.TrimPrefix(value, " "), " ") {
		scopes, ending, ok := strings.Cut(part, "=")
		digits, gone := strings.CutSuffix(ending, goneMark)
		version, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || !validScope(scopes) {
			return nil, fmt.Errorf("change %q", part)
		}
		c := Change{Scope: scopes, Version: version, Gone: gone}
		ids, photos := strings.CutPrefix(scopes, PrefixPhoto)
		if !photos {
			changes = append(changes, c)
			continue
		}
		for id := range strings.SplitSeq(ids, listComma) {
			c.Scope = PrefixPhoto + id
			changes = append(changes, c)
		}
	}
	if len(changes) > maxDepends {
		return nil, fmt.Errorf("more than %d scopes", maxDepends)
	}
	return changes, nil
}

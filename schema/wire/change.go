package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ScopeAll is the scope that every page depends on. It changes when rows changed in a way that cannot be told one by
// one: a seeding, a restore, a TRUNCATE.
const ScopeAll = "all"

// Change says that a scope's rows have a new version, or are gone.
type Change struct {
	Scope   string
	Version int64
	Gone    bool // what the scope named does not exist any more: no copy of it may be shown, not even as a stale one
}

// EncodeChanges packs a batch for the subject SubjectBatch: a line for each change, "user.ansel 18" or "user.ansel 19
// gone".
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

// DecodeChanges is the inverse of [EncodeChanges]. A batch that cannot be read wholly is an error: the reader must then
// trust nothing older.
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

// Tick is what the relay says once a second: that it lives, what time it is, and how far behind it is. An edge that
// hears no tick without lag trusts no copy.
type Tick struct {
	Time time.Time     // cluster time: Postgres' clock
	Lag  time.Duration // age of the oldest change that is not yet in the stream, 0 when none waits
}

type tickJSON struct {
	TimeMicros int64 `json:"time_us"`
	LagMicros  int64 `json:"lag_us"`
}

// Encode gives the tick's JSON: {"time_us":1795463000123456,"lag_us":0}.
func (t Tick) Encode() []byte {
	b, err := json.Marshal(tickJSON{t.Time.UnixMicro(), t.Lag.Microseconds()})
	if err != nil {
		panic(err) // two integers always marshal
	}
	return b
}

// DecodeTick is the inverse of [Tick.Encode].
func DecodeTick(data []byte) (Tick, error) {
	var j tickJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return Tick{}, fmt.Errorf("tick: %w", err)
	}
	if j.TimeMicros <= 0 || j.LagMicros < 0 {
		return Tick{}, fmt.Errorf("tick: %s has no time or a negative lag", data)
	}
	return Tick{time.UnixMicro(j.TimeMicros), time.Duration(j.LagMicros) * time.Microsecond}, nil
}

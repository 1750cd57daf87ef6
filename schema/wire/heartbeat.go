package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Link is the place of a batch in the chain of all batches of a site, whichever relays sent them. Who knows the batch
// After and then hears this one has missed none between.
type Link struct {
	Batch string // the name of this batch, which no other has; "": it has no place in the chain
	After string // that of the batch before it
}

// Set writes the link into the header of a batch.
func (l Link) Set(h nats.Header) {
	h.Set(HeaderBatch, l.Batch)
	h.Set(HeaderAfter, l.After)
}

// LinkOf reads the link of a batch. Relays of the previous release send none.
func LinkOf(h nats.Header) Link { return Link{h.Get(HeaderBatch), h.Get(HeaderAfter)} }

// Heartbeat is what the relay says once a second: that it is alive, the time, how far it lags, and what an edge must
// know to rely on that. An edge without heartbeats, or with a relay that lags, serves pages of up to a second only.
type Heartbeat struct {
	Time time.Time     // cluster time: Postgres' clock
	Lag  time.Duration // age of the oldest change that is in no batch yet, 0 when none waits
	// The batch at the end of the chain: all other changes of before Time are in it or in one before it. "": from a
	// relay of the previous release, which stores each batch before it goes on.
	Last     string
	Unstored bool // the stream lacks a change that is in the chain up to Last
}

type heartbeatJSON struct {
	TimeMicros int64  `json:"time_us"`
	LagMicros  int64  `json:"lag_us"`
	Last       string `json:"last,omitempty"`
	Unstored   bool   `json:"unstored,omitempty"`
}

// Encode gives the heartbeat's JSON: {"time_us":1795463000123456,"lag_us":0,"last":"q2x.18"}.
func (h Heartbeat) Encode() []byte {
	b, err := json.Marshal(heartbeatJSON{h.Time.UnixMicro(), h.Lag.Microseconds(), h.Last, h.Unstored})
	if err != nil {
		panic(err) // integers, a text and a truth always marshal
	}
	return b
}

// DecodeHeartbeat is the inverse of [Heartbeat.Encode].
func DecodeHeartbeat(data []byte) (Heartbeat, error) {
	var j heartbeatJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return Heartbeat{}, fmt.Errorf("heartbeat: %w", err)
	}
	lag, ok := micros(j.LagMicros)
	if j.TimeMicros <= 0 || !ok {
		return Heartbeat{}, fmt.Errorf("heartbeat: %.80s has no time or an impossible lag", data)
	}
	return Heartbeat{time.UnixMicro(j.TimeMicros), lag, j.Last, j.Unstored}, nil
}

package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// SubjectGone asks every edge whether it shows nothing any more of a scope that is gone. Renderers ask, and each edge
// answers; see GoneQuestion.
const SubjectGone = "gone"

// ReceiptAge is how long the receipt of what was deleted can be read.
const ReceiptAge = 30 * 24 * time.Hour

// GoneQuestion asks whether an edge knows that a scope is gone from a version on.
type GoneQuestion struct {
	Scope   string    `json:"scope"`
	Version int64     `json:"version"`
	At      time.Time `json:"at"` // when it went, in cluster time
}

// GoneAnswer is what an edge says.
type GoneAnswer struct {
	Edge  string    `json:"edge"`  // its key in the bucket of popularity lists
	Since time.Time `json:"since"` // from then on it has shown nothing of the scope; zero: it may show something
}

// Encode returns the question's JSON.
func (q GoneQuestion) Encode() ([]byte, error) { return json.Marshal(q) }

// DecodeGoneQuestion is the inverse of [GoneQuestion.Encode].
func DecodeGoneQuestion(data []byte) (q GoneQuestion, err error) {
	if err = json.Unmarshal(data, &q); err != nil {
		return q, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return q, nil
}

// Encode returns the answer's JSON.
func (a GoneAnswer) Encode() ([]byte, error) { return json.Marshal(a) }

// DecodeGoneAnswer is the inverse of [GoneAnswer.Encode].
func DecodeGoneAnswer(data []byte) (a GoneAnswer, err error) {
	if err = json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("an edge's answer: %w", err)
	}
	return a, nil
}

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BucketTickets is the JetStream KV bucket with the keys of TLS session tickets. Only edges may read it. NATS keeps it
// in memory: with these keys recorded connections of TLS 1.2 can be decrypted, whose clients took a ticket.
const BucketTickets = "TICKETS"

// TicketKeysID is the key of the one value in the bucket: the keys of all edges, see [EncodeTicketKeys].
const TicketKeysID = "keys"

// Ages of a key of session tickets.
const (
	TicketKeyEvery = 12 * time.Hour // then an edge makes another one
	TicketKeyAge   = 36 * time.Hour // then nobody takes its tickets any more
	MaxTicketKeys  = 3
)

// TicketsConfig is the configuration of the bucket. NATS forgets its value when no edge has written it for so long that
// nobody takes its tickets any more.
func TicketsConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketTickets, Description: "keys of TLS session tickets, for edges alone",
		Storage: jetstream.MemoryStorage, TTL: TicketKeyAge, MaxBytes: 64 << 10}
}

// TicketKey encrypts the session tickets of TLS.
type TicketKey struct {
	Made time.Time // cluster time
	Key  [32]byte
}

// ticketKey is the form of a TicketKey on the bus.
type ticketKey struct {
	Made int64  `json:"made"` // microseconds since 1970
	Key  []byte `json:"key"`
}

// EncodeTicketKeys writes keys as JSON.
func EncodeTicketKeys(keys []TicketKey) []byte {
	all := make([]ticketKey, len(keys))
	for i, k := range keys {
		all[i] = ticketKey{k.Made.UnixMicro(), k.Key[:]}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // numbers and bytes
	}
	return b
}

// ParseTicketKeys is the inverse of [EncodeTicketKeys].
func ParseTicketKeys(b []byte) ([]TicketKey, error) {
	var all []ticketKey
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("keys of session tickets: %w", err)
	}
	if len(all) > MaxTicketKeys {
		return nil, fmt.Errorf("keys of session tickets: %d of them, more than %d", len(all), MaxTicketKeys)
	}
	keys := make([]TicketKey, len(all))
	for i, k := range all {
		if len(k.Key) != len(keys[i].Key) {
			return nil, errors.New("keys of session tickets: one has another length than 32 bytes")
		}
		keys[i] = TicketKey{time.UnixMicro(k.Made), [32]byte(k.Key)}
	}
	return keys, nil
}

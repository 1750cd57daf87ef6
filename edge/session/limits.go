package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/wire"
)

// Window is the time in which guesses count. It begins with the first of them.
const Window = time.Minute

// Limits counts guesses for all edges together, in the bucket LIMITS. A guess is counted by comparing and setting, so
// of any number of guesses at once no more pass than are allowed.
type Limits struct {
	nc     *nats.Conn
	clock  *wire.Clock
	bucket atomic.Pointer[jetstream.KeyValue]
	turns  [32]sync.Mutex // by the key's first character: one edge's guesses at one key do not compete with each other

	mu   sync.Mutex
	full map[string]time.Time // keys that nobody may guess at, and until when, in cluster time
}

// NewLimits returns Limits. They open the bucket when they first count.
func NewLimits(nc *nats.Conn, clock *wire.Clock) *Limits {
	return &Limits{nc: nc, clock: clock, full: map[string]time.Time{}}
}

// maxFull bounds the keys that an edge remembers as full. Those that it forgets it finds in the bucket.
const maxFull = 10_000

// tries bounds how often an edge counts a guess again because another edge was quicker.
const tries = 200

// Take counts a guess at what, such as a name, of which limit are allowed in a [Window]. wait is for how long none is
// allowed any more; 0: this one is. An error means that it could not be counted, so it must not be allowed either.
func (l *Limits) Take(ctx context.Context, what string, limit int) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if wait = l.Full(what); wait > 0 {
		return wait, nil
	}
	at := limitKey(what)
	turn := &l.turns[strings.IndexByte(keyCharacters, at[0])]
	turn.Lock()
	defer turn.Unlock()
	if wait = l.fullFor(at); wait > 0 {
		return wait, nil
	}
	kv, err := l.open(ctx)
	if err != nil {
		return 0, err
	}
	for range tries {
		done, wait, err := l.try(ctx, kv, at, limit)
		if done || err != nil {
			return wait, err
		}
	}
	return 0, fmt.Errorf("count a guess: %w: too many at once", wire.ErrBusy)
}

// Full returns for how long no guess at what is allowed, as far as this edge knows. It costs no request.
func (l *Limits) Full(what string) time.Duration { return l.fullFor(limitKey(what)) }

// limitKey is the key in the bucket: 160 bits of a hash, as names and addresses may have any character.
func limitKey(what string) string {
	hash := sha256.Sum256([]byte(what))
	return coding.EncodeToString(hash[:20])
}

// try counts a guess; done is false if another edge was quicker.
func (l *Limits) try(ctx context.Context, kv jetstream.KeyValue, at string, limit int) (
	done bool, wait time.Duration, err error,
) {
	now := l.clock.Now()
	end, count := now.Add(Window), 1
	entry, err := kv.Get(ctx, at)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		_, err = kv.Create(ctx, at, encodeCount(end, count))
	case err == nil:
		if until, n, ok := decodeCount(entry.Value()); ok && until.After(now) {
			if n >= limit {
				l.setFull(at, until)
				return true, until.Sub(now), nil
			}
			end, count = until, n+1
		}
		_, err = kv.Update(ctx, at, encodeCount(end, count), entry.Revision())
	}
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return false, 0, nil
	}
	if err != nil {
		l.bucket.Store(nil) // perhaps it was made anew
		return false, 0, unavailable("count a guess", err)
	}
	return true, 0, nil
}

func (l *Limits) open(ctx context.Context) (jetstream.KeyValue, error) {
	if !l.nc.IsConnected() {
		return nil, fmt.Errorf("count a guess: %w: NATS does not answer", wire.ErrUnavailable)
	}
	if kv := l.bucket.Load(); kv != nil {
		return *kv, nil
	}
	kv, err := bucket.Open(ctx, l.nc, wire.LimitsConfig())
	if err != nil {
		return nil, unavailable("count a guess", err)
	}
	l.bucket.Store(&kv)
	return kv, nil
}

func (l *Limits) fullFor(at string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.full[at].Sub(l.clock.Now()))
}

func (l *Limits) setFull(at string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.full) >= maxFull {
		clear(l.full)
	}
	l.full[at] = until
}

// encodeCount writes the end of a window and the guesses in it: "1795463000123456 3".
func encodeCount(end time.Time, n int) []byte {
	return strconv.AppendInt(append([]byte(wire.FormatTime(end)), ' '), int64(n), 10)
}

func decodeCount(data []byte) (end time.Time, n int, ok bool) {
	at, digits, _ := strings.Cut(string(data), " ")
	end, ok = wire.ParseTime(at)
	n, err := strconv.Atoi(digits)
	return end, n, ok && err == nil
}

package freshness

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Tokens verifies read-your-writes tokens, which show writers their own change through any edge. The versions in a
// verified token are learned like a change; the usual comparison does the rest.
type Tokens struct {
	nc      *nats.Conn
	tracker *Tracker
	log     *slog.Logger
	key     atomic.Pointer[wire.FreshKey] // nil until it has been read
}

// NewTokens returns Tokens without a key; Run reads it.
func NewTokens(nc *nats.Conn, tracker *Tracker, log *slog.Logger) *Tokens {
	return &Tokens{nc: nc, tracker: tracker, log: log}
}

// keyEvery is how often the shared key is read: an operator may replace it. Until an edge has read the new key, tokens
// that are signed with it are invalid there.
const keyEvery = 5 * time.Second

// Key returns the signing key. It is nil until the key has been read.
func (t *Tokens) Key() *wire.FreshKey { return t.key.Load() }

// Run keeps the key current until ctx ends.
func (t *Tokens) Run(ctx context.Context) {
	for {
		wait := keyEvery
		if err := t.renew(ctx); err != nil && ctx.Err() == nil {
			t.log.Debug("cannot read the key of read-your-writes tokens", "err", err)
			if t.key.Load() == nil {
				wait = retryEvery
			}
		}
		if !sleep.For(ctx, wait) {
			return
		}
	}
}

// renew reads the key that all edges share. If the key does not exist, renew makes it.
func (t *Tokens) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	keys, err := bucket.Open(ctx, t.nc, wire.KeysConfig())
	if err != nil {
		return err
	}
	entry, err := keys.Get(ctx, wire.FreshKeyID)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		random := make([]byte, wire.FreshKeySize)
		_, _ = rand.Read(random) // never fails, see crypto/rand
		_, err = keys.Create(ctx, wire.FreshKeyID, random)
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) { // another edge was quicker
			return fmt.Errorf("make the key: %w", err)
		}
		entry, err = keys.Get(ctx, wire.FreshKeyID)
	}
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	key := wire.FreshKey(entry.Value())
	if len(key) != wire.FreshKeySize {
		return fmt.Errorf("the key has %d bytes, not %d: delete it (nats kv del %s %s) and an edge makes another",
			len(key), wire.FreshKeySize, wire.BucketKeys, wire.FreshKeyID)
	}
	t.key.Store(&key)
	return nil
}

// Adopt learns the versions in a request's token, if it has a valid one. An edge without a key cannot verify a token:
// it returns the token's versions, which then count for this request only.
func (t *Tokens) Adopt(r *http.Request) (unverified []wire.Dep) {
	hasToken := func(line string) bool { return strings.Contains(line, wire.FreshCookie+"=") }
	if !slices.ContainsFunc(r.Header["Cookie"], hasToken) {
		return nil
	}
	cookie, err := r.Cookie(wire.FreshCookie)
	if err != nil {
		return nil
	}
	var changes []wire.Change
	if key := t.key.Load(); key == nil {
		changes, err = wire.FreshClaims(cookie.Value)
		for _, c := range changes {
			unverified = append(unverified, wire.Dep{Scope: c.Scope, Version: c.Version})
		}
	} else {
		changes, err = key.Verify(cookie.Value, t.tracker.clock.Now())
		for _, c := range changes {
			t.tracker.Learn(c)
		}
	}
	if err != nil {
		t.log.Debug("ignoring an invalid read-your-writes token", "err", err)
	}
	return unverified
}

// Insider reports whether a header value proves that its sender has the key.
func (t *Tokens) Insider(value string) bool {
	key := t.key.Load()
	return key != nil && key.VerifyInsider(value, t.tracker.clock.Now())
}

package edge

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

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// freshCookies reads the cookies by which a writer sees their own change through any edge. What a cookie says is learned as a notice of
// change is, and then the comparison that every copy goes through does the rest.
type freshCookies struct {
	nc    *nats.Conn
	fresh *freshness
	log   *slog.Logger
	key   atomic.Pointer[wire.FreshKey] // nil until it has been had, see adopt
}

// keyPoll is how often the shared key is looked at: an operator may replace it, and a cluster made anew has another. For so long cookies that
// are signed with the new one are none.
const keyPoll = 5 * time.Second

// run keeps the key until ctx ends.
func (f *freshCookies) run(ctx context.Context) {
	for {
		wait := keyPoll
		if err := f.renew(ctx); err != nil && ctx.Err() == nil {
			f.log.Debug("fresh cookies: no key", "err", err)
			if f.key.Load() == nil {
				wait = followPoll
			}
		}
		if !sleep.For(ctx, wait) {
			return
		}
	}
}

// renew takes the key that all edges share, and makes it if there is none.
func (f *freshCookies) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	js, err := jetstream.New(f.nc)
	if err != nil {
		return err
	}
	bucket, err := js.KeyValue(ctx, wire.BucketKeys)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = js.CreateKeyValue(ctx, wire.KeysConfig())
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", wire.BucketKeys, err)
	}
	entry, err := bucket.Get(ctx, wire.FreshKeyID)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		made := make([]byte, wire.FreshKeySize)
		_, _ = rand.Read(made) // never fails, see crypto/rand
		_, err = bucket.Create(ctx, wire.FreshKeyID, made)
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) { // another edge was quicker
			return fmt.Errorf("make the key: %w", err)
		}
		entry, err = bucket.Get(ctx, wire.FreshKeyID)
	}
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	key := wire.FreshKey(entry.Value())
	if len(key) != wire.FreshKeySize {
		return fmt.Errorf("the key has %d bytes, not %d: delete it (nats kv del %s %s) and an edge makes another", len(key), wire.FreshKeySize, wire.BucketKeys, wire.FreshKeyID)
	}
	f.key.Store(&key)
	return nil
}

// adopt learns what a request's fresh cookie says, if it has one that is good. An edge that has just begun and has no key yet cannot tell,
// and returns what the cookie claims, which holds for this visitor alone.
func (f *freshCookies) adopt(r *http.Request) (claims []wire.Dep) {
	if !slices.ContainsFunc(r.Header["Cookie"], func(line string) bool { return strings.Contains(line, wire.FreshCookie+"=") }) {
		return nil
	}
	cookie, err := r.Cookie(wire.FreshCookie)
	if err != nil {
		return nil
	}
	key := f.key.Load()
	if key == nil {
		claims, err = wire.FreshClaims(cookie.Value)
	} else {
		var deps []wire.Dep
		deps, err = key.Verify(cookie.Value, f.fresh.clock.Now())
		for _, d := range deps {
			f.fresh.learn(wire.Change{Scope: d.Scope, Version: d.Version})
		}
	}
	if err != nil {
		f.log.Debug("fresh cookie", "err", err)
	}
	return claims
}

// insider reports whether a value proves that who sends it has the key.
func (f *freshCookies) insider(value string) bool {
	key := f.key.Load()
	return key != nil && key.VerifyInsider(value, f.fresh.clock.Now())
}

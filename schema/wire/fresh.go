package wire

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FreshCookie is the name of the cookie with the read-your-writes token: scopes and versions from the reply to an
// action, signed, for FreshAge. With it a writer sees their own change through any edge, even one that has not got the
// change from the stream yet.
const (
	FreshCookie = "fresh"
	FreshAge    = 10 * time.Second // by then every edge has the change, or trusts no copy
)

// The key that signs tokens is in a JetStream KV bucket. The first edge creates it; all others read it.
const (
	BucketKeys = "KEYS"
	FreshKeyID = "fresh"
)

// KeysConfig is the configuration of the bucket of keys that edges share.
func KeysConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketKeys, Description: "keys that all edges share",
		Storage: jetstream.FileStorage, MaxBytes: 1 << 20}
}

// FreshKey signs read-your-writes tokens: 32 random bytes.
type FreshKey []byte

// FreshKeySize is the length of a FreshKey in bytes.
const FreshKeySize = 32

const (
	maxFresh = 3 << 10 // bytes of a cookie's value: page.MaxPhotos ids of ten digits. Browsers keep 4,096 with the name
	freshMAC = 16      // bytes of the HMAC that are kept: 128 bits

	maxClaims = maxFresh/4*3 - freshMAC - 4 // bytes of a token's payload
)

// ErrFresh: a token was not signed with this key, has expired, or cannot be read. Ignore it.
var ErrFresh = errors.New("not a valid fresh cookie")

// Sign returns a token that is valid until some cluster time: the base64url of "<until> <changes>" (see
// [FormatChanges]), a dot, and the base64url of the first 128 bits of its HMAC-SHA256. Of changes that are too many for
// a cookie it leaves out photos that are gone first: their pages depend on their owner's scope as well.
func (k FreshKey) Sign(changes []Change, until time.Time) string {
	goneLast := slices.Clone(changes)
	slices.SortStableFunc(goneLast, func(a, b Change) int { return cmp.Compare(a.spare(), b.spare()) })
	payload := appendChanges([]byte(FormatTime(until)), goneLast, maxClaims)
	return base64.RawURLEncoding.EncodeToString(payload) + "." + base64.RawURLEncoding.EncodeToString(k.mac(payload))
}

// spare is 1 for a change that a token can do without, 0 for others.
func (c Change) spare() int {
	if c.Gone && strings.HasPrefix(c.Scope, PrefixPhoto) {
		return 1
	}
	return 0
}

// Verify is the inverse of [FreshKey.Sign] at the cluster time now. Errors wrap ErrFresh.
func (k FreshKey) Verify(value string, now time.Time) ([]Change, error) {
	payload, mac, err := decodeFresh(value)
	if err != nil {
		return nil, err
	}
	if len(k) == 0 || !hmac.Equal(mac, k.mac(payload)) {
		return nil, fmt.Errorf("%w: the signature is another", ErrFresh)
	}
	until, changes, err := parseFresh(payload)
	if err == nil && now.After(until) {
		return nil, fmt.Errorf("%w: it has expired", ErrFresh)
	}
	return changes, err
}

// FreshClaims reads a token without checking its signature and expiry: anybody may have written it. Errors wrap
// ErrFresh.
func FreshClaims(value string) ([]Change, error) {
	payload, _, err := decodeFresh(value)
	if err != nil {
		return nil, err
	}
	_, changes, err := parseFresh(payload)
	return changes, err
}

// scopeInsider is no scope: a value that names it proves that its sender has the key.
const scopeInsider = "insider"

// Insider returns the value of X-Depends with which a request to an edge gets the versions of absent things too. A
// visitor must not see them: they distinguish what is hidden from what never existed. The value is valid until some
// cluster time.
func (k FreshKey) Insider(until time.Time) string {
	return k.Sign([]Change{{Scope: scopeInsider}}, until)
}

// VerifyInsider reports whether value is from [FreshKey.Insider] and valid at the cluster time now.
func (k FreshKey) VerifyInsider(value string, now time.Time) bool {
	changes, err := k.Verify(value, now)
	return err == nil && len(changes) == 1 && changes[0].Scope == scopeInsider
}

func decodeFresh(value string) (payload, mac []byte, err error) {
	if len(value) > maxFresh {
		return nil, nil, ErrFresh
	}
	head, tail, _ := strings.Cut(value, ".")
	if payload, err = base64.RawURLEncoding.DecodeString(head); err == nil {
		mac, err = base64.RawURLEncoding.DecodeString(tail)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrFresh, err)
	}
	return payload, mac, err
}

func parseFresh(payload []byte) (until time.Time, changes []Change, err error) {
	digits, list, some := strings.Cut(string(payload), " ")
	us, err := strconv.ParseInt(digits, 10, 64)
	if err == nil && some {
		changes, err = ParseChanges(list)
	}
	if err == nil && len(changes) == 0 {
		err = errors.New("it names nothing")
	}
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("%w: %w", ErrFresh, err)
	}
	return time.UnixMicro(us), changes, nil
}

func (k FreshKey) mac(payload []byte) []byte {
	h := hmac.New(sha256.New, k)
	h.Write(payload)
	return h.Sum(nil)[:freshMAC]
}

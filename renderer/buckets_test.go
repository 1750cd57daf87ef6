package renderer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/wire"
)

// TestBucketIsRepaired: a bucket that takes no value, although the stream of changes never stalled, is found by the
// check that comes every so often, and made anew with the values that it has.
func TestBucketIsRepaired(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []jetstream.KeyValueConfig{
		wire.KeysConfig(), wire.PopularConfig(), wire.SessionsConfig(), wire.LimitsConfig(),
	} {
		t.Run(cfg.Bucket, func(t *testing.T) { //nolint:paralleltest // the renderer below is of all
			cfg.MaxBytes = 8 << 10
			kv, err := js.CreateKeyValue(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := kv.Put(t.Context(), "kept", []byte("a value")); err != nil {
				t.Fatal(err)
			}
			for n := 0; err == nil; n++ { // deleted keys leave markers, which a new bucket does not have
				err = kv.Delete(t.Context(), fmt.Sprintf("gone.%d", n))
			}
			for n, err := 0, error(nil); err == nil; n++ { // a marker is larger than the least value
				_, err = kv.Put(t.Context(), fmt.Sprintf("small.%d", n), nil)
			}
			if _, err := kv.Put(t.Context(), "another", nil); err == nil {
				t.Fatal("the bucket takes values")
			}
		})
	}
	s := st.service(t, nil)
	s.relay.bucketsEvery = 50 * time.Millisecond
	run(t, s)
	for _, bucket := range wire.Buckets() {
		eventually(t, 20*time.Second, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			kv, err := js.KeyValue(ctx, bucket)
			if err != nil {
				return err
			}
			_, err = kv.Put(ctx, "another", nil)
			kept, missing := kv.Get(ctx, "kept")
			if missing == nil && string(kept.Value()) != "a value" {
				t.Errorf("the value is now %q", kept.Value())
			}
			return errors.Join(err, missing)
		})
	}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
}

func TestRestoreOrder(t *testing.T) {
	t.Parallel()
	got := restoreOrder([]string{"u.7.abc", "abc", "u.70", "u.x", "zzz", "u.7"})
	if want := []string{"u.7", "u.70", "abc", "u.7.abc", "u.x", "zzz"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

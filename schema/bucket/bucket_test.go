package bucket

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestOpen: a bucket is created once, with its configuration, by however many open it.
func TestOpen(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATS(t))
	config := jetstream.KeyValueConfig{Bucket: "THINGS", Storage: jetstream.MemoryStorage, History: 3}
	var all errgroup.Group
	for range 4 {
		all.Go(func() error {
			_, err := Open(t.Context(), nc, config)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	kv, err := Open(t.Context(), nc, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	config.History = 5 // of a bucket that is there, nothing changes
	again, err := Open(t.Context(), nc, config)
	if err != nil {
		t.Fatal(err)
	}
	status, err := again.Status(t.Context())
	if err != nil || status.History() != 3 || status.Values() != 1 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestOpenWithoutServer: an error names the bucket.
func TestOpenWithoutServer(t *testing.T) {
	t.Parallel()
	server := testenv.NATSServer(t)
	nc := testenv.Connect(t, server.URL())
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Open(ctx, nc, jetstream.KeyValueConfig{Bucket: "THINGS"})
	if err == nil || !strings.Contains(err.Error(), "bucket THINGS") {
		t.Errorf("%v", err)
	}
}

package stack

import (
	"fmt"
	"os"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestCrashOfNATS: what a stream has acknowledged is in its files. The files are copied while NATS runs, as a kill
// would leave them, and another NATS has all messages from the copy.
func TestCrashOfNATS(t *testing.T) {
	t.Parallel()
	const messages = 200
	dir, copied := t.TempDir(), t.TempDir()
	streamOf := func(dir string) jetstream.JetStream {
		t.Helper()
		n, err := StartNATS(NATSConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Stop)
		nc, err := Connect(Login{URL: n.URL()}, "crash", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	js := streamOf(dir)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "KEPT", Subjects: []string{"kept"}, Storage: jetstream.FileStorage,
	}); err != nil {
		t.Fatal(err)
	}
	for n := range messages {
		if _, err := js.Publish(t.Context(), "kept", fmt.Append(nil, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	stream, err := streamOf(copied).Stream(t.Context(), "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	for n := range messages {
		m, err := stream.GetMsg(t.Context(), uint64(n)+1)
		if err != nil || string(m.Data) != fmt.Sprint(n) {
			t.Fatalf("message %d: %v", n, err)
		}
	}
}

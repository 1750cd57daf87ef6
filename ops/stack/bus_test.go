package stack

import (
	"log/slog"
	"testing"
)

// Without an address no connection is made, not even to a server on the default port.
func TestJoinBusNeedsAnAddress(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", " ", ", ,"} {
		b, err := JoinBus(Login{URL: url}, "test", slog.New(slog.DiscardHandler))
		if err == nil {
			b.Close()
			t.Fatalf("joined %q", url)
		}
		if want := "the address of NATS is not known: say --nats"; err.Error() != want {
			t.Errorf("%q: %v, want %s", url, err, want)
		}
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nats://127.0.0.1:4222":                    "nats://127.0.0.1:4222",
		"nats://joe:secret@a:1,tls://x:secret@b:2": "nats://joe:xxxxx@a:1,tls://x:xxxxx@b:2",
		"nats://joe:se cret@a:%":                   "an address that cannot be read",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

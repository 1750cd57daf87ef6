package stack

import "testing"

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

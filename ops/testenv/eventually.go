package testenv

import (
	"testing"
	"time"
)

// Eventually waits until ok is true, for conditions that no channel tells of. what completes "after 30 s it is still
// not so that".
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("after 30 s it is still not so that %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

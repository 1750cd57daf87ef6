package mail

import (
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// TestSTARTTLS: a mail goes, encrypted, to a server whose certificate is signed by somebody trusted, for its own
// address, and is valid now. To any other server nothing goes, and the log says why.
func TestSTARTTLS(t *testing.T) {
	t.Parallel()
	tomorrow := time.Now().Add(24 * time.Hour)
	for _, c := range []struct {
		name, address string
		until         time.Time
		trusted       bool
		says          string // "": the mail is sent
	}{
		{"trusted", "127.0.0.1", tomorrow, true, ""},
		{"signed by nobody known", "127.0.0.1", tomorrow, false, "unknown authority"},
		{"of another server", "127.0.0.2", tomorrow, true, "valid for 127.0.0.2, not 127.0.0.1"},
		{"expired", "127.0.0.1", time.Now().Add(-time.Minute), true, "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			certificate, roots := testenv.Certificate(t, c.address, c.until)
			box := servePostbox(t, certificate)
			server, err := ParseURL(box.url + "?from=no-reply@photos.example")
			if err != nil {
				t.Fatal(err)
			}
			if c.trusted {
				server.roots = roots
			}
			got, log := sendTo(t, server, &letter, 1)
			box.mu.Lock()
			defer box.mu.Unlock()
			want, arrived := Sent, 1
			if c.says != "" {
				want, arrived = Failed, 0
			}
			if got != want || len(box.mails) != arrived || box.secure != arrived {
				t.Errorf("%s, %d mails, %d encrypted, want %s and %d\n%s",
					got, len(box.mails), box.secure, want, arrived, log)
			}
			says := "the certificate of the mail server 127.0.0.1 is not valid here"
			if c.says != "" && (!strings.Contains(log, says) || !strings.Contains(log, c.says)) {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

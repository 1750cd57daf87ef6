package testenv

import (
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// Postbox is an SMTP server that keeps what it is sent.
type Postbox struct {
	URL string // for `renderer --smtp`, without TLS

	mu    sync.Mutex
	mails map[string][]string
}

// NewPostbox starts a Postbox, which ends with the test.
func NewPostbox(t testing.TB) *Postbox {
	t.Helper()
	box := &Postbox{mails: map[string][]string{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &delivery{box: box}, nil
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until Close
	}()
	t.Cleanup(func() {
		_ = listener.Close() // Close does not close one that is not served yet
		_ = server.Close()
		<-served
	})
	box.URL = "smtp://" + listener.Addr().String() + "?tls=off&from=no-reply@photos.example"
	return box
}

type delivery struct {
	box *Postbox
	to  string
}

func (d *delivery) Reset()                                    {}
func (d *delivery) Logout() error                             { return nil }
func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return nil }
func (d *delivery) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.mails[d.to] = append(d.box.mails[d.to], string(data))
	return err
}

// Mails returns the mails to an address, in order.
func (b *Postbox) Mails(to string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.mails[to]...)
}

// Addresses returns how many addresses have got a mail.
func (b *Postbox) Addresses() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mails)
}

var mailedLink = regexp.MustCompile(`https?://[^/\s]+(/[\w/-]+)\?token=([\w-]{43})\s`)

// Links returns the tokens of the links to a path that were mailed to an address, in order. It waits for n of them.
func (b *Postbox) Links(t testing.TB, to, path string, n int) (tokens []string) {
	t.Helper()
	Eventually(t, "the mails to "+to, func() bool {
		tokens = nil
		for _, m := range b.Mails(to) {
			m = strings.ReplaceAll(strings.ReplaceAll(m, "=\r\n", ""), "=3D", "=") // quoted-printable
			if found := mailedLink.FindStringSubmatch(m); found != nil && found[1] == path {
				tokens = append(tokens, found[2])
			}
		}
		return len(tokens) >= n
	})
	return tokens
}

package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// postbox is an SMTP server that keeps what it is sent. refuse is what it says to the next tries instead.
type postbox struct {
	mu     sync.Mutex
	mails  []string
	to     []string
	secure int // how many mails came encrypted
	refuse []error
	url    string
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	box := servePostbox(t, nil)
	box.url += "?tls=off&from=no-reply@photos.example"
	return box
}

// servePostbox starts a postbox that offers STARTTLS with a certificate, or none. Its url has no options.
func servePostbox(t *testing.T, certificate *tls.Certificate) *postbox {
	t.Helper()
	box := &postbox{}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{box: box, conn: c}, nil
	}))
	if certificate != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	}
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
	box.url = "smtp://" + listener.Addr().String()
	return box
}

type session struct {
	box  *postbox
	conn *smtp.Conn
	to   string
}

func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.to = to
	if len(s.box.refuse) == 0 {
		return nil
	}
	err := s.box.refuse[0]
	s.box.refuse = s.box.refuse[1:]
	return err
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if _, ok := s.conn.TLSConnectionState(); ok {
		s.box.secure++
	}
	s.box.mails, s.box.to = append(s.box.mails, string(data)), append(s.box.to, s.to)
	return err
}

// sendBy queues one mail, closes the queue and returns what became of it, and the log.
func sendBy(t *testing.T, url string, m *Mail, tries int) (outcome, log string) {
	t.Helper()
	server, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return sendTo(t, server, m, tries)
}

func sendTo(t *testing.T, server *Server, m *Mail, tries int) (outcome, log string) {
	t.Helper()
	said := testenv.NewOutput()
	counted := make(chan string, 1)
	q := NewQueue(server, slog.New(slog.NewTextHandler(said, nil)), func(outcome string) { counted <- outcome })
	q.pauses = make([]time.Duration, tries-1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { q.Run(ctx) })
	if err := q.Put(func(context.Context) (*Mail, error) { return m, nil }); err != nil {
		t.Fatal(err)
	}
	outcome = <-counted
	q.Close()
	running.Wait()
	return outcome, said.String()
}

var letter = Mail{To: "ansel@photos.example", Subject: "Your link", Text: "Here.\n", HTML: "<p>Here.</p>"}

// TestSend: a mail arrives in both forms, and is tried again as long as the server may take it.
func TestSend(t *testing.T) {
	t.Parallel()
	later := &smtp.SMTPError{Code: 451, Message: "try later"}
	never := &smtp.SMTPError{Code: 550, Message: "no such user ansel@photos.example"}
	for _, c := range []struct {
		name    string
		refuse  []error
		mail    *Mail
		want    string
		arrived int
	}{
		{"at once", nil, &letter, Sent, 1},
		{"at the third try", []error{later, later}, &letter, Sent, 1},
		{"at no try", []error{later, later, later}, &letter, Failed, 0},
		{"refused for good", []error{never}, &letter, Failed, 0},
		{"to nobody", nil, nil, Nobody, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := newPostbox(t)
			box.refuse = c.refuse
			got, log := sendBy(t, box.url, c.mail, 3)
			box.mu.Lock()
			defer box.mu.Unlock()
			if got != c.want || len(box.mails) != c.arrived || len(box.refuse) != 0 {
				t.Errorf("%s, %d mails, want %s and %d\n%s", got, len(box.mails), c.want, c.arrived, log)
			}
			if strings.Contains(log, "ansel@") {
				t.Errorf("the log has the address: %s", log)
			}
			if c.arrived == 0 {
				return
			}
			m, err := mail.ReadMessage(strings.NewReader(box.mails[0]))
			if err != nil || m.Header.Get("Subject") != "Your link" || box.to[0] != letter.To ||
				!strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") ||
				!strings.Contains(m.Header.Get("From"), "no-reply@photos.example") {
				t.Errorf("to %q: %v\n%s", box.to, err, box.mails[0])
			}
		})
	}
}

// TestServersAway: without a server, or without STARTTLS, nothing is sent.
func TestServersAway(t *testing.T) {
	t.Parallel()
	box := newPostbox(t)
	if got, log := sendBy(t, strings.Replace(box.url, "tls=off&", "", 1), &letter, 1); got != Failed {
		t.Errorf("to a server without STARTTLS: %s\n%s", got, log)
	}
	if len(box.mails) > 0 {
		t.Error("a mail was sent in the clear")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if got, log := sendBy(t, fmt.Sprintf("smtp://%s?tls=off&from=a@b.example", address), &letter, 1); got != Failed {
		t.Errorf("without a server: %s\n%s", got, log)
	}
}

// TestServerHangs: a server that takes the connection and says nothing is given up.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	server, err := ParseURL(fmt.Sprintf("smtp://%s?tls=off&from=a@b.example", listener.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	server.timeout = 10 * time.Millisecond
	if got, log := sendTo(t, server, &letter, 2); got != Failed || !strings.Contains(log, "try 2") {
		t.Errorf("%s\n%s", got, log)
	}
}

// TestWaitingMails: mails that wait for their next try hold up no others, and are tried once more when the queue
// closes.
func TestWaitingMails(t *testing.T) {
	t.Parallel()
	box := newPostbox(t)
	later := &smtp.SMTPError{Code: 451, Message: "try later"}
	server, err := ParseURL(box.url)
	if err != nil {
		t.Fatal(err)
	}
	counted := make(chan string, 3*workers)
	q := NewQueue(server, slog.New(slog.DiscardHandler), func(outcome string) { counted <- outcome })
	q.pauses = []time.Duration{time.Hour}
	var running sync.WaitGroup
	running.Go(func() { q.Run(t.Context()) })
	put := func(to string) {
		t.Helper()
		m := letter
		m.To = to
		if err := q.Put(func(context.Context) (*Mail, error) { return &m, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range workers {
		box.refuse = append(box.refuse, later)
	}
	for range workers {
		put("slow@photos.example")
	}
	testenv.Eventually(t, "all workers have met a refusal", func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.refuse) == 0
	})
	put("quick@photos.example")
	if got := <-counted; got != Sent || box.to[0] != "quick@photos.example" {
		t.Errorf("%s to %s", got, box.to)
	}
	q.Close()
	running.Wait()
	if len(box.to) != workers+1 || len(counted) != workers {
		t.Errorf("%d mails, %d outcomes", len(box.to), len(counted))
	}
}

// TestFull: whoever queues waits for nothing, and hears when there is no room.
func TestFull(t *testing.T) {
	t.Parallel()
	dropped := 0
	q := NewQueue(&Server{}, slog.New(slog.DiscardHandler), func(string) { dropped++ })
	nothing := func(context.Context) (*Mail, error) { return nil, nil }
	for i := range queueSize {
		if err := q.Put(nothing); err != nil {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	if err := q.Put(nothing); !errors.Is(err, ErrFull) || dropped != 1 {
		t.Errorf("%v, %d dropped", err, dropped)
	}
	q.Close()
	q.Close()
	if err := q.Put(nothing); !errors.Is(err, ErrFull) {
		t.Errorf("closed: %v", err)
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"smtp://u:p%40ss@mail.example:2525?from=a@b.example", "smtps://mail.example?from=Site%20%3Ca@b.example%3E",
		"smtp://localhost:25?tls=off&from=a@b.example",
	} {
		if _, err := ParseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "mail.example", "http://mail.example?from=a@b.example", "smtp://u:secret@mail.example",
		"smtp://u:secret@mail.example?from=nobody", "smtp://u:secret@:587?from=a@b.example",
		"smtp://u:secret@m.example:99999?from=a@b.example", "smtps://u:secret@m.example?tls=off&from=a@b.example",
		"smtp://u:secret@m.example?from=a@b.example&from=c@d.example", "smtp://u:secret@m.example?form=a@b.example",
		"smtp://u:secret@m.example/x?from=a@b.example", "smtp://u:secret@m example?from=a@b.example",
	} {
		if _, err := ParseURL(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"ansel@photos.example": "ansel@photos.example", " Ansel+x@Photos.Example\n": "ansel+x@photos.example",
		"ansel": "", "": "", "@photos.example": "", "ansel@": "", "ansel@photos": "", "a@b@c.example": "",
		"Ansel <ansel@photos.example>": "", "ansel@photos.example, x@y.example": "", "a b@photos.example": "",
		"ansel@photos.example\r\nBcc: x@y.example": "", "ansel\x00@photos.example": "", "ansel@ph\u00f6tos.example": "",
		`"a b"@photos.example`: "", strings.Repeat("a", 250) + "@b.example": "", "<ansel@photos.example>": "",
	} {
		if got, ok := ParseAddress(typed); got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q, %t, want %q", typed, got, ok, want)
		}
	}
}

// Package mail sends mails to people by an SMTP server.
//
// **Input**: the address of a server, and jobs that make mails. **Output**: mails, each sent once if the server takes
// it, and a count of what became of them. **Must not touch**: the database, the bus. It knows nothing of accounts.
//
// Whoever queues a job waits for nothing, so the time of an answer tells neither whether there is anybody to mail to
// nor how the server does.
//
// Files: server.go, addresses and how a mail is sent; queue.go, the queue and its tries.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Server is an SMTP server and the address that mails come from.
type Server struct {
	host, user, password string
	port                 int
	from                 *mail.Address
	security             security
	timeout              time.Duration  // for one try
	roots                *x509.CertPool // who may sign the server's certificate; nil: whom this machine trusts
}

// security is how the connection is encrypted.
type security int

const (
	startTLS security = iota // by STARTTLS, or no mail is sent
	wholeTLS                 // from the first byte (smtps)
	noTLS                    // not at all
)

// sendTimeout bounds one try to send a mail.
const sendTimeout = 15 * time.Second

// ParseURL reads the address of a server:
//
//	smtp://user:password@mail.example:587?from=no-reply@photos.example
//
// smtps encrypts from the start (port 465), smtp by STARTTLS (port 587), which the server must offer unless the address
// says tls=off (port 25). User and password may be missing. No error has the password in it.
func ParseURL(address string) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("it cannot be read: write smtp://user:password@host:587?from=address, with %-escapes")
	}
	s := &Server{host: u.Hostname(), user: u.User.Username(), timeout: sendTimeout}
	s.password, _ = u.User.Password()
	query := u.Query()
	for name, values := range query {
		if name != "from" && name != "tls" || len(values) != 1 {
			return nil, fmt.Errorf("%q is unknown or given twice: it takes from and tls", name)
		}
	}
	switch tlsMode := query.Get("tls"); {
	case u.Scheme == "smtps" && tlsMode == "":
		s.security, s.port = wholeTLS, 465
	case u.Scheme == "smtp" && tlsMode == "":
		s.security, s.port = startTLS, 587
	case u.Scheme == "smtp" && tlsMode == "off":
		s.security, s.port = noTLS, 25
	default:
		return nil, errors.New("it must begin with smtp:// or smtps://, and may say tls=off with smtp only")
	}
	if s.host == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("it must name a host and no path: smtp://user:password@host:587?from=address")
	}
	if text := u.Port(); text != "" {
		if s.port, err = strconv.Atoi(text); err != nil || s.port < 1 || s.port > 65535 {
			return nil, fmt.Errorf("port %q is none: give 1 to 65535", text)
		}
	}
	if s.from, err = mail.ParseAddress(query.Get("from")); err != nil {
		return nil, errors.New("from= must be the address that mails come from, such as from=no-reply@photos.example")
	}
	return s, nil
}

// Mail is a mail to one person, in two forms of the same words.
type Mail struct {
	To         string // see ParseAddress
	Subject    string
	Text, HTML string
}

// longestAddress is the longest address that SMTP takes, in bytes.
const longestAddress = 254

// ParseAddress reads an address that somebody has typed, such as " Ansel@Photos.Example ", and returns its one
// spelling: in lower case, without a name. ok is false for what mails cannot be sent to.
func ParseAddress(typed string) (address string, ok bool) {
	typed = strings.ToLower(strings.TrimSpace(typed))
	parsed, err := mail.ParseAddress(typed)
	if err != nil || parsed.Name != "" || parsed.Address != typed || len(typed) > longestAddress {
		return "", false
	}
	for _, c := range typed {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`"<>(),;:\`, c) {
			return "", false
		}
	}
	_, domain, _ := strings.Cut(typed, "@")
	return typed, strings.Contains(domain, ".") || domain == "localhost"
}

// send sends a mail, in one try.
func (s *Server) send(ctx context.Context, m *Mail) error {
	msg := gomail.NewMsg()
	msg.FromMailAddress(s.from)
	if err := msg.To(m.To); err != nil {
		return fmt.Errorf("the recipient: %w", err)
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office answers
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	options := []gomail.Option{gomail.WithPort(s.port), gomail.WithTimeout(s.timeout),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots})}
	switch s.security {
	case wholeTLS:
		options = append(options, gomail.WithSSL())
	case startTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case noTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.user != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.user),
			gomail.WithPassword(s.password))
	}
	client, err := gomail.NewClient(s.host, options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, msg)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of the mail server %s is not valid here (renew it, name the server as it "+
			"does, or have this machine trust who signed it): %w", s.host, err)
	}
	return err
}

// isFinal reports that the server will not take a mail at any time.
func isFinal(err error) bool {
	said, ok := errors.AsType[*gomail.SendError](err)
	return ok && !said.IsTemp() && said.ErrorCode() >= 500
}

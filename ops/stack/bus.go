package stack

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// Bus is a connection to NATS that can say why it is down.
type Bus struct {
	*nats.Conn
	url    string // without passwords
	failed atomic.Pointer[string]
	closed chan struct{}
}

// JoinBus connects the program called name to NATS. It does not wait for the connection, which is retried until
// Close.
func JoinBus(url, name string, log *slog.Logger) (*Bus, error) {
	b := &Bus{url: Redact(url), closed: make(chan struct{})}
	var err error
	b.Conn, err = Connect(url, "killr "+name, log,
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			why := err.Error()
			b.failed.Store(&why)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Close closes the connection and waits until its handlers have run.
func (b *Bus) Close() {
	b.Conn.Close()
	<-b.closed
}

// Down says why there is no connection; nil while there is one.
func (b *Bus) Down() error {
	if b.IsConnected() {
		return nil
	}
	why := "no connection yet"
	if failed := b.failed.Load(); failed != nil {
		why = *failed
	}
	return fmt.Errorf("NATS at %s does not answer: %s", b.url, why)
}

// Redact replaces the passwords in a NATS address, or in several separated by commas.
func Redact(addresses string) string {
	all := strings.Split(addresses, ",")
	for i, a := range all {
		if u, err := url.Parse(strings.TrimSpace(a)); err == nil {
			all[i] = u.Redacted()
		} else {
			all[i] = "an address that cannot be read"
		}
	}
	return strings.Join(all, ",")
}

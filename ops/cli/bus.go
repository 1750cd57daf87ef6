package cli

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
)

// bus is a connection to NATS that knows why there is none.
type bus struct {
	*nats.Conn
	url    string // without passwords
	failed atomic.Pointer[string]
	closed chan struct{}
}

// joinBus connects, or goes on trying to; close ends both.
func joinBus(url, name string, log *slog.Logger) (*bus, error) {
	b := &bus{url: redacted(url), closed: make(chan struct{})}
	var err error
	b.Conn, err = stack.Connect(url, "killr "+name, log,
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

// close closes the connection and waits until its handlers have run.
func (b *bus) close() {
	b.Conn.Close()
	<-b.closed
}

// away says why there is no connection; nil while there is one.
func (b *bus) away() error {
	if b.IsConnected() {
		return nil
	}
	why := "no connection yet"
	if failed := b.failed.Load(); failed != nil {
		why = *failed
	}
	return fmt.Errorf("NATS at %s does not answer: %s", b.url, why)
}

// ready is a role's word on whether it can serve, or why its bus is away, which is then the reason.
func (b *bus) ready(role func() error) func() error {
	return func() error {
		if err := b.away(); err != nil {
			return err
		}
		return role()
	}
}

// redacted is a NATS address, or several, without passwords.
func redacted(addresses string) string {
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

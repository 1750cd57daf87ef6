package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/payload"
)

// Bus is a connection to NATS that can say why it is down.
type Bus struct {
	*nats.Conn
	to      Login
	refused *refusals
	failed  atomic.Pointer[error]
	closed  chan struct{}
	homing  sync.WaitGroup // what brings the connection back to its preferred server
}

// JoinBus connects the program called name to NATS. It does not wait for the connection, which is retried until
// Close. Of several addresses the first is preferred: when its server is back, the connection returns to it within
// 20 to 40 s. Errors: no address, or a seed or certificates that cannot be read.
func JoinBus(to Login, name string, log *slog.Logger) (*Bus, error) {
	return joinBus(to, name, log, homeEvery)
}

// JoinBusForFiles is JoinBus for a connection by which the bytes of files go. They are read into memory that is used
// again, see [payload.Receiver].
func JoinBusForFiles(to Login, name string, log *slog.Logger) (*Bus, error) {
	return joinBus(to, name, log, homeEvery, nats.SetCustomDialer(payload.NewReceiver()))
}

func joinBus(to Login, name string, log *slog.Logger, apart time.Duration, options ...nats.Option) (*Bus, error) {
	b := &Bus{to: to, closed: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	options = append([]nats.Option{
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.failed.Store(&err) }),
		nats.ClosedHandler(func(*nats.Conn) { stop(); close(b.closed) }),
	}, options...)
	home := newHome(to, log)
	if home != nil {
		options = append(options, nats.ReconnectToServer(home.choose))
	}
	var err error
	if b.Conn, b.refused, err = connect(to, "killr "+name, log, options...); err != nil {
		stop()
		return nil, err
	}
	if home != nil {
		b.homing.Go(func() { home.keep(ctx, b.Conn, apart) })
	}
	return b, nil
}

// Close closes the connection and waits until its handlers have run.
func (b *Bus) Close() {
	b.Conn.Close()
	<-b.closed
	b.homing.Wait()
}

// Refusals is a metric that counts what NATS has refused to the role by its permissions.
func (b *Bus) Refusals() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "killr_" + string(b.to.Role) + "_bus_refusals_total",
		Help: "Messages and subscriptions that NATS refused to this role by its permissions.",
	}, func() float64 { return float64(b.refused.count.Load()) })
}

// Connection are metrics of the connection: whether there is one, and how often it was lost and found again.
func (b *Bus) Connection() []prometheus.Collector {
	name := "killr_" + string(b.to.Role) + "_bus_"
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name + "connected", Help: "1 while this role is connected to NATS.",
		}, func() float64 {
			if b.IsConnected() {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: name + "reconnects_total", Help: "Times that this role connected to NATS again, to any server of it.",
		}, func() float64 { return float64(b.Stats().Reconnects) }),
	}
}

// Refused lists what NATS has refused to the role, each once: "publish to changed.tick".
func (b *Bus) Refused() []string { return b.refused.list() }

// Down says why there is no connection; nil while there is one.
func (b *Bus) Down() error {
	if b.IsConnected() {
		return nil
	}
	failed := b.failed.Load()
	if failed == nil {
		return fmt.Errorf("NATS at %s does not answer: no connection yet", Redact(b.to.URL))
	}
	switch err := *failed; {
	case errors.Is(err, nats.ErrAuthorization) && b.to.Seed == "":
		return fmt.Errorf("NATS at %s asks who signs in: say --nats-seed, the file with the seed of the role %s",
			Redact(b.to.URL), b.to.Role)
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("NATS at %s does not know the key of %s: correct --nats-seed, or give NATS the public key "+
			"of the role %s (`killr bus config`)", Redact(b.to.URL), b.to.Seed, b.to.Role)
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return fmt.Errorf("NATS at %s does not ask who signs in: leave out --nats-seed (%s)",
			Redact(b.to.URL), b.to.Seed)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("NATS at %s does not speak TLS: leave out --nats-ca (%s)", Redact(b.to.URL), b.to.CA)
	default:
		return fmt.Errorf("NATS at %s does not answer: %w", Redact(b.to.URL), err)
	}
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

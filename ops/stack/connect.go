package stack

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect connects to NATS as every role does: it retries for ever, reconnects within 0.1 s after the server is back,
// and notices a dead connection after about 4 s. name is shown by `nats server report connections`. Connect returns at
// once even when no server answers; logger (nil: silent) gets disconnects and reconnects. options override these.
// Without an address it fails: nats.go would connect to whatever listens on 127.0.0.1:4222.
func Connect(url, name string, logger *slog.Logger, options ...nats.Option) (*nats.Conn, error) {
	if strings.Trim(url, ", ") == "" {
		return nil, errors.New("the address of NATS is not known: say --nats")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	nc, err := nats.Connect(url, append([]nats.Option{
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),      // the default gives up after 60
		nats.IgnoreAuthErrorAbort(), // the default gives up after two refused passwords
		nats.ReconnectWait(50 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second),
		// About 1,000 requests bridge a restart; more would be requests that no client waits for.
		nats.ReconnectBufSize(256 << 10),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("bus lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { logger.Info("bus back", "url", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			logger.Error("bus", "err", err, "subject", subject)
		}),
	}, options...)...)
	if err != nil { // the address cannot be read; it may hold a password
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, nil
}

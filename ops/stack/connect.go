package stack

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// Login says where NATS is, and as what a program signs in.
type Login struct {
	URL  string    // or several, separated by commas: the first is preferred, the others follow in any order
	CA   string    // the file with the certificates that sign those of NATS; "": TLS only if NATS wants it
	Role wire.Role // whose inboxes the program has
	Seed string    // the file with the role's seed; "": NATS asks for none
}

// Connect connects to NATS as every role does: it retries for ever, reconnects within 0.1 s after the server is back,
// and notices a dead connection after about 4 s. name is shown by `nats server report connections`. Connect returns at
// once even when no server answers; logger (nil: silent) gets disconnects, reconnects, and what NATS refuses. options
// override these. Without an address it fails: nats.go would connect to whatever listens on 127.0.0.1:4222. It fails
// too when the seed or the certificates cannot be read.
func Connect(to Login, name string, logger *slog.Logger, options ...nats.Option) (*nats.Conn, error) {
	nc, _, err := connect(to, name, logger, options...)
	return nc, err
}

func connect(
	to Login, name string, logger *slog.Logger, options ...nats.Option,
) (*nats.Conn, *refusals, error) {
	if strings.Trim(to.URL, ", ") == "" {
		return nil, nil, errors.New("the address of NATS is not known: say --nats")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	refused := &refusals{log: logger, role: to.Role}
	if to.Seed != "" {
		signIn, err := nats.NkeyOptionFromSeed(to.Seed)
		if err != nil {
			return nil, nil, fmt.Errorf("read the seed of the role %s, %s: %w: correct --nats-seed",
				to.Role, to.Seed, err)
		}
		options = append([]nats.Option{signIn}, options...)
	}
	if to.CA != "" {
		if err := readableCA(to.CA); err != nil {
			return nil, nil, err
		}
		options = append([]nats.Option{nats.RootCAs(to.CA)}, options...)
	}
	if to.Role != "" {
		options = append([]nats.Option{nats.CustomInboxPrefix(wire.InboxPrefix(to.Role))}, options...)
	}
	nc, err := nats.Connect(homeFirst(to.URL), append([]nats.Option{
		nats.Name(name),
		nats.DontRandomize(), // homeFirst does
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
			if errors.Is(err, nats.ErrPermissionViolation) {
				refused.add(err)
				return
			}
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			logger.Error("bus", "err", err, "subject", subject)
		}),
	}, options...)...)
	if err != nil { // the address cannot be read; it may hold a password
		return nil, nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, refused, nil
}

// readableCA says why a file of certificates cannot be used. nats.go reads it again for each connection.
func readableCA(path string) error {
	pem, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = errors.New("it has no certificate in PEM")
	}
	if err != nil {
		return fmt.Errorf("read the certificates of NATS, %s: %w: correct --nats-ca", path, err)
	}
	return nil
}

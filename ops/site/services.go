package site

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/stack"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Faults that need nothing of a site but the addresses of its services.

// flushMemcached empties the first of these memcached servers.
func flushMemcached(ctx context.Context, addrs []string) error {
	if len(addrs) == 0 {
		return errors.New("flush memcached: the site has none")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addrs[0])
	if err != nil {
		return fmt.Errorf("flush memcached: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return fmt.Errorf("flush memcached: %w", err)
	}
	if _, err := conn.Write([]byte("flush_all\r\n")); err != nil {
		return fmt.Errorf("flush memcached: %w", err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || strings.TrimSpace(line) != "OK" {
		return errors.Join(fmt.Errorf("flush memcached: it says %q", line), err)
	}
	return nil
}

// holdRelay blocks all relays for the time d, by their lock: changes are committed, and edges are not told.
func holdRelay(ctx context.Context, url string, d time.Duration) (err error) {
	if url == "" { // pgx would connect to what the shell's environment names
		return errors.New("hold the relay: the site has no database")
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("hold the relay: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }() // which releases the lock
	// The change is of nobody's scope. Without one to publish a relay would not lag, whatever holds it.
	_, err = conn.Exec(ctx, "SELECT pg_advisory_lock($1)", store.RelayLock)
	if err == nil {
		_, err = conn.Exec(ctx,
			"INSERT INTO outbox (scope, version, gone) VALUES ('photo.0', nextval('versions'), false)")
	}
	if ctx.Err() != nil { // it ends early, perhaps before Postgres has said that the lock is held
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold the relay: %w", err)
	}
	sleep.For(ctx, d)
	return nil
}

// wipeChanges deletes the stream of changes and creates it again at once, as a careless operator might. Its followers
// see no error. A renderer's key opens this way: the operator's own does not.
func wipeChanges(ctx context.Context, services stack.Env) error {
	nc, err := stack.Connect(services.Login(wire.RoleRenderer), "wipe", nil)
	if err != nil {
		return fmt.Errorf("wipe the stream: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("wipe the stream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := js.DeleteStream(ctx, wire.StreamChanges); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("wipe the stream: %w", err)
	}
	_, err = js.CreateStream(ctx, wire.ChangesConfig())
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // a relay has created it
		return fmt.Errorf("wipe the stream: %w", err)
	}
	return nil
}

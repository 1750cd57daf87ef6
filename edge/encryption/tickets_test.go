package encryption

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// party is the part of an edge that speaks TLS.
type party struct {
	tickets *Tickets
	config  *tls.Config
}

// edges are edges at one bus with one certificate, and with the time that now points to.
func edges(t *testing.T, bus *stack.NATS, n int, now *time.Time) (all []*party) {
	t.Helper()
	cert := certificate(t, "photos.example")
	for range n {
		p := &party{config: &tls.Config{Certificates: []tls.Certificate{*cert}}}
		p.tickets = NewTickets(testenv.ConnectAs(t, bus.URL(), wire.RoleEdge),
			func() (time.Time, bool) { return *now, true }, p.config.SetSessionTicketKeys,
			slog.New(slog.NewTextHandler(t.Output(), nil)))
		all = append(all, p)
	}
	return all
}

// renew has an edge read its keys.
func (p *party) renew(t *testing.T) {
	t.Helper()
	if err := p.tickets.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// browser is a client with one session, of a version of TLS.
func browser(version uint16) *tls.Config {
	return &tls.Config{ServerName: "photos.example", InsecureSkipVerify: true, //nolint:gosec // it checks resumption
		MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
}

// resumes reports whether a client goes on with its session at an edge. It has a new one afterwards.
func (p *party) resumes(t *testing.T, client *tls.Config) bool {
	t.Helper()
	ours, theirs := connected(t)
	go func() { _, _ = tls.Server(theirs, p.config).Write([]byte("x")) }()
	conn := tls.Client(ours, client)
	if _, err := conn.Read(make([]byte, 1)); err != nil { // the ticket of TLS 1.3 comes before it
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

// eachVersion runs a test with TLS 1.2 and 1.3.
func eachVersion(t *testing.T, test func(t *testing.T, version uint16)) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// TestSharedTickets: a session that one edge began goes on at another, after a new key too, until its key ends.
func TestSharedTickets(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version uint16) {
		now := time.Now()
		all := edges(t, testenv.NATSServer(t), 2, &now)
		a, b := all[0], all[1]
		strange := browser(version)
		a.resumes(t, strange)
		if b.resumes(t, strange) {
			t.Fatal("a session goes on at an edge without the key")
		}
		a.renew(t)
		b.renew(t)
		client, early := browser(version), browser(version)
		for _, c := range []*tls.Config{client, early} {
			if a.resumes(t, c) {
				t.Fatal("a client without a session resumes one")
			}
		}
		for i, p := range []*party{b, a, b} {
			if !p.resumes(t, client) {
				t.Errorf("the session does not go on at another edge, %d", i)
			}
		}
		now = now.Add(wire.TicketKeyEvery)
		b.renew(t) // makes a key, which the other edge has not read yet
		for i, p := range []*party{b, a, b} {
			if !p.resumes(t, client) {
				t.Errorf("with a new key: the session does not go on, %d", i)
			}
		}
		a.renew(t)
		if len(a.tickets.used) != 2 || a.tickets.used[0] != b.tickets.used[0] {
			t.Errorf("the edges have %d and %d keys", len(a.tickets.used), len(b.tickets.used))
		}
		first := a.tickets.used[0]
		now = now.Add(ticketsSpread)
		a.renew(t)
		b.renew(t)
		if a.tickets.used[0] == first || a.tickets.used[0] != b.tickets.used[0] {
			t.Error("the new key does not encrypt")
		}
		late := browser(version)
		for i, p := range []*party{a, b} {
			if got := p.resumes(t, late); got != (i > 0) {
				t.Errorf("a session under the new key goes on at edge %d: %t", i, got)
			}
		}
		now = now.Add(wire.TicketKeyAge - wire.TicketKeyEvery)
		a.renew(t)
		b.renew(t)
		if b.resumes(t, early) {
			t.Error("a session goes on after its key has ended")
		}
		if !b.resumes(t, late) {
			t.Error("a session under a key that is left does not go on")
		}
		now = now.Add(wire.TicketKeyAge)
		a.renew(t)
		b.renew(t)
		if b.resumes(t, late) {
			t.Error("a session goes on after all keys have ended")
		}
	})
}

// TestTicketsWithoutNATS: edges go on with the keys that they have, and give them to NATS when it has forgotten them.
func TestTicketsWithoutNATS(t *testing.T) {
	t.Parallel()
	bus, now := testenv.NATSServer(t), time.Now()
	all := edges(t, bus, 3, &now)
	a, b, later := all[0], all[1], all[2]
	a.renew(t)
	b.renew(t)
	client := browser(tls.VersionTLS13)
	a.resumes(t, client)
	bus.Stop()
	now = now.Add(wire.TicketKeyEvery)
	for _, p := range []*party{a, b} {
		if err := p.tickets.renew(t.Context()); err == nil {
			t.Error("a bus that is away gives keys")
		}
		if !p.resumes(t, client) {
			t.Error("without the bus the session does not go on")
		}
	}
	if err := bus.Restart(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "an edge has given its keys to the bus", func() bool {
		return b.tickets.renew(t.Context()) == nil
	})
	testenv.Eventually(t, "an edge that starts has the keys", func() bool {
		return later.tickets.renew(t.Context()) == nil
	})
	if !later.resumes(t, client) {
		t.Error("the session does not go on at an edge that started after the bus")
	}
	bus.Stop()
	now = now.Add(wire.TicketKeyAge)
	if err := a.tickets.renew(t.Context()); err == nil {
		t.Error("a bus that is away gives keys")
	}
	if a.resumes(t, client) {
		t.Error("the session goes on with a key that is too old")
	}
	if !a.resumes(t, client) {
		t.Error("an edge with a key of its own takes none of its own sessions")
	}
}

// TestUnreadableTickets: what no edge can read is replaced.
func TestUnreadableTickets(t *testing.T) {
	t.Parallel()
	bus, now := testenv.NATSServer(t), time.Now()
	p := edges(t, bus, 1, &now)[0]
	p.renew(t)
	before := p.tickets.used
	js, err := jetstream.New(testenv.Connect(t, bus.URL()))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), wire.BucketTickets)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "x", `[{"made":1,"key":"AAAA"}]`, "[" + strings.Repeat(`{},`, 9) + "{}]"} {
		if _, err := kv.Put(t.Context(), wire.TicketKeysID, []byte(wrong)); err != nil {
			t.Fatal(err)
		}
		p.renew(t)
		entry, err := kv.Get(context.Background(), wire.TicketKeysID)
		if err != nil {
			t.Fatal(err)
		}
		if keys, err := wire.ParseTicketKeys(entry.Value()); err != nil || len(keys) != 1 || keys[0].Key != before[0] {
			t.Errorf("after %q: %d keys, %v", wrong, len(keys), err)
		}
	}
	if stream, err := js.Stream(t.Context(), wire.BucketStream(wire.BucketTickets)); err != nil ||
		stream.CachedInfo().Config.Storage != jetstream.MemoryStorage {
		t.Errorf("the keys are on a disk: %v", err)
	}
}

// TestTicketsOfAWrongClock: before cluster time is known an edge replaces no keys of others.
func TestTicketsOfAWrongClock(t *testing.T) {
	t.Parallel()
	bus, now, known := testenv.NATSServer(t), time.Now(), true
	first := edges(t, bus, 1, &now)[0]
	first.renew(t)
	started := edges(t, bus, 1, &now)[0]
	started.tickets.now = func() (time.Time, bool) { return now, known }
	known, now = false, now.Add(72*time.Hour)
	if err := started.tickets.renew(t.Context()); err == nil || started.tickets.used != nil {
		t.Errorf("it uses %d keys, %v", len(started.tickets.used), err)
	}
	known, now = true, now.Add(-72*time.Hour)
	started.renew(t)
	if !slices.Equal(started.tickets.used, first.tickets.used) {
		t.Error("the keys of the other edge are gone")
	}
}

// TestDeletedTickets: after somebody has deleted the keys the edges write theirs again.
func TestDeletedTickets(t *testing.T) {
	t.Parallel()
	bus, now := testenv.NATSServer(t), time.Now()
	all := edges(t, bus, 2, &now)
	all[0].renew(t)
	js, err := jetstream.New(testenv.Connect(t, bus.URL()))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), wire.BucketTickets)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), wire.TicketKeysID); err != nil {
		t.Fatal(err)
	}
	all[0].renew(t)
	all[1].renew(t)
	if !slices.Equal(all[0].tickets.used, all[1].tickets.used) {
		t.Error("the edges have other keys")
	}
}

package renderer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/page"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/wire"
)

// TestFullDiskOfTheStream: while the disk of NATS is full, actions are done, and the renderer that relays says what is
// wrong. When there is room again, the changes are relayed, without a restart of NATS.
func TestFullDiskOfTheStream(t *testing.T) {
	t.Parallel()
	disk := testenv.NewDisk(t, 2048)
	server := testenv.NATSIn(t, disk.Dir)
	st := newSiteOn(t, server.URL(), testenv.Database(t))
	said := testenv.NewOutput()
	s := st.start(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(said, nil)) })
	st.quiet(t)
	eventually(t, 5*time.Second, s.Ready)
	store := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		list := slices.Repeat([]wire.Popular{{Ref: page.User("ansel"), Count: 1}}, 500)
		return popularlist.Put(ctx, st.nc, "edge.test.1", list)
	}
	if err := store(); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := js.CreateKeyValue(t.Context(), wire.KeysConfig())
	if err != nil {
		t.Fatal(err)
	}
	setKey := func(name string, size int) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := keys.Put(ctx, name, make([]byte, size))
		return err
	}
	if err := setKey(wire.FreshKeyID, wire.FreshKeySize); err != nil {
		t.Fatal(err)
	}
	before := scopesOf(st.get(t, page.User("ansel")))["user.ansel"]

	disk.Fill(t)
	if err := store(); err == nil {
		t.Error("a popularity list was stored on a full disk")
	}
	if err := setKey("another", 10<<10); err == nil {
		t.Error("a key was stored on a full disk")
	}
	eventually(t, 20*time.Second, func() error {
		if err := s.Ready(); !errors.Is(err, errStalled) {
			return fmt.Errorf("says %w", err)
		}
		return nil
	})
	if got := gauge(t, s.metrics.relayStalled); got != 1 {
		t.Errorf("killr_relay_stalled is %g, want 1", got)
	}
	changed(t, st.act(t, wire.ActionPhotoEdit, "key", "id=1&title=while+the+disk+is+full"))

	heard := follow(t, st, wire.SubjectBatch)
	disk.Free(t)
	announced(t, heard, "user.ansel", before)
	eventually(t, 20*time.Second, s.Ready)
	st.quiet(t)
	for _, failing := range []string{"stalled=true", "stalled=false"} {
		if n := strings.Count(said.String(), failing); n != 1 {
			t.Errorf("%d lines of the log say %s, want 1", n, failing)
		}
	}
	if _, ok := said.Line("stalled=true", "disk of NATS full"); !ok {
		t.Error("no line of the log says that the disk may be full")
	}
	if got := gauge(t, s.metrics.relayStalled); got != 0 {
		t.Errorf("killr_relay_stalled is %g, want 0", got)
	}
	eventually(t, 20*time.Second, store)
	eventually(t, 20*time.Second, func() error { return setKey("another", 10<<10) })
	if key, err := keys.Get(t.Context(), wire.FreshKeyID); err != nil || len(key.Value()) != wire.FreshKeySize {
		t.Errorf("the key of the tokens is gone: %v", err)
	}
}

// A relay whose message was not acknowledged once, as after a pause of its process, is ready again when the stream
// takes messages, also if another renderer relays meanwhile.
func TestOneMessageNotAcknowledged(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	all := []*running{st.start(t, nil), st.start(t, nil)}
	for _, s := range all {
		eventually(t, 20*time.Second, s.Ready)
	}
	for _, s := range all {
		s.relay.unacked.Store(monotonic.Now())
		s.relay.setStalled(errStalled)
		eventually(t, 20*time.Second, s.Ready)
		if s.relay.unacked.Load() != 0 {
			t.Error("it counts from that message still")
		}
	}
	for _, s := range all { // The next message, a batch, was acknowledged, and the other renderer sends heartbeats.
		s.relay.setStalled(errStalled)
	}
	for _, s := range all {
		eventually(t, 20*time.Second, s.Ready)
	}
}

func gauge(t testing.TB, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

package renderer

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// TestTraces: lines of the log name the trace of a request, and so does Postgres, if somebody wants to see the trace.
func TestTraces(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	url := st.pool.Config().ConnString()
	log, other := testenv.NewOutput(), testenv.Pool(t, url)
	pool, err := store.OpenPool(t.Context(), url, PoolConns(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	st.start(t, func(c *Config) {
		c.Pool = pool
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	ask := func(trace string) *nats.Msg {
		msg := nats.NewMsg("page.user.ansel")
		msg.Reply = st.nc.NewRespInbox()
		msg.Header.Set(wire.HeaderTrace, trace)
		return msg
	}
	shown := func(id string) bool {
		t.Helper()
		var yes bool
		const q = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'killr ' || $1)"
		if err := other.QueryRow(t.Context(), q, id).Scan(&yes); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	wanted, unwanted := strings.Repeat("ab", 16), strings.Repeat("cd", 16)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())                                      //nolint:errcheck // it is over, see below
	if _, err := tx.Exec(t.Context(), "LOCK TABLE users"); err != nil { // queries of pages wait
		t.Fatal(err)
	}
	testenv.Eventually(t, "Postgres shows the trace", func() bool {
		if err := st.nc.PublishMsg(ask("00-" + wanted + "-00f067aa0ba902b7-01")); err != nil {
			t.Fatal(err)
		}
		return shown(wanted)
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the log names both traces", func() bool {
		if err := st.nc.PublishMsg(ask("00-" + unwanted + "-00f067aa0ba902b7-00")); err != nil {
			t.Fatal(err)
		}
		if shown(unwanted) {
			t.Fatal("Postgres shows a trace that nobody wants to see")
		}
		return strings.Contains(log.String(), "trace="+unwanted) && strings.Contains(log.String(), "trace="+wanted)
	})
}

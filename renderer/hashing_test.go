package renderer

import (
	"runtime"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestSignInCostsOneHash: a sign-in that is refused costs one hash, whatever is wrong with it, so its time tells nobody
// which names there are. A hash takes 19 MiB, and nothing else takes as much. Not parallel: it counts what the whole
// process allocates.
func TestSignInCostsOneHash(t *testing.T) {
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`) // the rows have ids of their own
	st.start(t, nil)
	newMember(t, st, "imogen")
	closed := newMember(t, st, "robert")
	if _, err := st.pool.Exec(t.Context(), `UPDATE accounts SET disabled_at = now() WHERE user_id = $1`,
		closed.user); err != nil {
		t.Fatal(err)
	}
	const hash = 19 << 20
	for what, form := range map[string]string{
		"a wrong password":       encoded("name", "imogen", "password", "not it"),
		"an unknown name":        encoded("name", "nobody_there", "password", "not it"),
		"a user with no account": encoded("name", "ansel", "password", "not it"),
		"a name that cannot be":  encoded("name", "-", "password", "not it"),
		"a closed account":       encoded("name", "robert", "password", closed.password),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		refusedFor(t, st.act(t, wire.ActionSignIn, "in", form), "password")
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took < hash || took > hash*3/2 {
			t.Errorf("%s: %d bytes are allocated, a hash takes %d", what, took, hash)
		}
	}
}

// TestPasswordsInTurn: of many sign-ins at one moment one or two are worked on, and the others wait.
func TestPasswordsInTurn(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	registry := prometheus.NewRegistry()
	st.start(t, func(c *Config) { c.Registry = registry })
	workers := passwordWorkers()
	if workers < 1 || workers > 2 {
		t.Fatalf("%d workers for passwords", workers)
	}
	lock, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(t.Context()) }()
	if _, err := lock.Exec(t.Context(), "LOCK TABLE accounts"); err != nil { // each sign-in waits for it
		t.Fatal(err)
	}
	const signIns = 6
	inbox, err := st.nc.SubscribeSync(st.nc.NewRespInbox())
	if err != nil {
		t.Fatal(err)
	}
	for range signIns {
		request := &nats.Msg{Subject: wire.ActionSubject(wire.ActionSignIn), Reply: inbox.Subject,
			Header: nats.Header{wire.HeaderKey: {"in"}}, Data: []byte(encoded("name", "x", "password", "not it"))}
		if err := st.nc.PublishMsg(request); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, "all but those worked on wait", func() bool {
		return waitingFor(t, registry, "passwords") == float64(signIns-workers)
	})
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range signIns {
		reply, err := inbox.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		refusedFor(t, reply, "password")
	}
}

// waitingFor returns how many requests wait for a pool.
func waitingFor(t *testing.T, registry *prometheus.Registry, pool string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "killr_renderer_queued" && hasLabel(m, pool) {
				return m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func hasLabel(m *dto.Metric, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetValue() == value {
			return true
		}
	}
	return false
}

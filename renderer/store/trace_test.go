package store

import (
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

// TestPostgresShowsTraces: a query of a trace runs under its name, and the next one on that connection does not.
func TestPostgresShowsTraces(t *testing.T) {
	t.Parallel()
	pool, err := OpenPool(t.Context(), testenv.DatabaseURL(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	id, other := strings.Repeat("a1", 16), strings.Repeat("b2", 16)
	for _, trace := range []string{"", id, id, other, "", "", id} {
		var name string
		var pid int
		ctx := WithTrace(t.Context(), trace)
		const q = "SELECT application_name, pid FROM pg_stat_activity WHERE pid = pg_backend_pid()"
		if err := pool.QueryRow(ctx, q).Scan(&name, &pid); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSpace("killr " + trace); name != want {
			t.Errorf("in trace %q Postgres shows %q, want %q", trace, name, want)
		}
	}
}

package cli

import (
	"os"
	"path/filepath"
	"testing"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// A role that goes by stack.env knows the edge named there; one that was told other addresses does not.
func TestEdgeOfTheStack(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	const env = "export NATS_URL='nats://a:1'\nexport DATABASE_URL='postgres://b'\nexport MEMCACHED_SERVERS='c:2'\nexport KILLR_EDGE='http://d:3,http://d:4'\n"
	if err := os.WriteFile(filepath.Join(data, stack.EnvFile), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		given services
		want  string
	}{
		{services{}, "http://d:3"},
		// The shell has read stack.env.
		{services{NATS: "nats://a:1", Postgres: "postgres://b", Memcached: []string{"c:2"}}, "http://d:3"},
		{services{NATS: "nats://other:1"}, ""},
		{services{NATS: "nats://a:1", Postgres: "postgres://other", Memcached: []string{"c:2"}}, ""},
	} {
		got := c.given
		if err := got.find(data, "--nats", wire.RoleRenderer); err != nil || got.edge != c.want {
			t.Errorf("%+v: edge %q, %v; want %q", c.given, got.edge, err, c.want)
		}
	}
	alone := services{NATS: "nats://a:1", Postgres: "postgres://b", Memcached: []string{"c:2"}}
	if err := alone.find(t.TempDir(), "--nats", wire.RoleRenderer); err != nil || alone.edge != "" {
		t.Errorf("without a stack.env: edge %q, %v", alone.edge, err)
	}
}

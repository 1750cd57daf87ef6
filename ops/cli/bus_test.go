package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

func TestBusCheck(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	check := func(url string) (status int, stdout, stderr string) {
		return killr(t.Context(), "--data", data, "bus", "check", "--nats", url)
	}
	if status, _, said := check("nats://127.0.0.1:1"); status != 1 || !strings.Contains(said, "no seeds of the roles") {
		t.Errorf("without seeds: status %d, %s", status, said)
	}
	seeds, err := stack.MakeSeeds(data)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, said := check("nats://127.0.0.1:1"); status != 1 || !strings.Contains(said, "as the role edge") {
		t.Errorf("without a bus: status %d, %s", status, said)
	}
	lax := wire.AccessTable()
	lax[0].Publish = append(lax[0].Publish, wire.SubjectEarlyInvalidation)
	for name, c := range map[string]struct {
		table  []wire.Access
		status int
		says   string
	}{
		"as the table says": {nil, 0, " 0 not as the table says\n"},
		"allows more":       {lax, 1, "edge may publish to hint.changed, which the table does not name\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, err := stack.StartNATS(stack.NATSConfig{Dir: t.TempDir(), Seeds: seeds, Table: c.table})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(bus.Stop)
			status, stdout, stderr := check(bus.URL())
			if status != c.status || !strings.Contains(stdout, c.says) {
				t.Errorf("status %d, %s%s", status, stdout, stderr)
			}
			for _, line := range []string{"  subscribe  hint.*\n", "queue group cachefill\n"} {
				if !strings.Contains(stdout, line) {
					t.Errorf("the table has no %q:\n%s", line, stdout)
				}
			}
		})
	}
}

// TestBusConfig: nats-server takes the printed configuration, and a role signs in with the seed beside it.
func TestBusConfig(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "new")
	status, stdout, stderr := killr(t.Context(), "--data", data, "bus", "config")
	if status != 0 {
		t.Fatal(stderr)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte("host: 127.0.0.1\nport: -1\n"+stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	bus, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	bus.Start()
	t.Cleanup(func() { bus.Shutdown(); bus.WaitForShutdown() })
	status, stdout, stderr = killr(t.Context(), "--data", data, "bus", "check", "--nats", bus.ClientURL())
	if status != 0 || !strings.Contains(stdout, " 0 not as the table says\n") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

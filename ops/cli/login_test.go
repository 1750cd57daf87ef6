package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flickrkillr/ops/stack"
)

// TestEdgeOfTokens: without --edge people sign in at the first edge that `up` announced in the data directory,
// unless that is on another machine.
func TestEdgeOfTokens(t *testing.T) {
	t.Parallel()
	data, fresh := t.TempDir(), t.TempDir()
	env := "export KILLR_EDGE='http://127.0.0.1:18090,http://127.0.0.1:18091'\n"
	if err := os.WriteFile(filepath.Join(data, stack.EnvFile), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flag, data, want string }{
		{"", data, "http://127.0.0.1:18090"},
		{"https://photos.example", data, "https://photos.example"},
		{"http://127.0.0.1:3,http://127.0.0.1:4", data, "http://127.0.0.1:3"}, // as a shell has it from stack.env
		{"", fresh, defaultEdge},
	} {
		edge, err := tokenFlags{Edge: c.flag, Config: t.TempDir()}.open(&session{data: c.data})
		if err != nil || edge.url != c.want {
			t.Errorf("--edge %q: %+v, %v, want %s", c.flag, edge, err, c.want)
		}
	}
	foreign := t.TempDir()
	env = "export KILLR_EDGE='https://photos.example'\n"
	if err := os.WriteFile(filepath.Join(foreign, stack.EnvFile), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	edge, err := tokenFlags{Config: t.TempDir()}.open(&session{data: foreign})
	if err == nil || !strings.Contains(err.Error(), "--edge https://photos.example") {
		t.Errorf("a directory that names another machine: %+v, %v", edge, err)
	}
}

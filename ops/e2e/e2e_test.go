// Package e2e tests the finished program from outside: HTTP as browsers use it, the bus as operators use it, and psql.
// It runs the built killr, so it tests what is shipped, with real Postgres, memcached, NATS, Chromium and NATS command
// line.
//
// **Input**: the source tree, from which it builds killr. **Output**: failed tests, and benchmarks. **Must not touch**:
// the internals of roles.
package e2e

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/ops/testenv/authority"
)

func TestMain(m *testing.M) { testenv.Main(m, authority.IgnoreLeaks()) }

// newClient returns a client that keeps up to n connections and does not follow redirects.
func newClient(t testing.TB, n int) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: testenv.NoRedirects}
}

// run runs a program to its end and returns what it printed.
func run(t testing.TB, bound time.Duration, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

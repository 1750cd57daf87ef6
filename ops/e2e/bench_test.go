package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/testenv"
)

// The benchmark finds the running site by its data directory alone, visits it, and reports the processor time of each
// process.
func TestBench(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	up := testenv.StartProgram(t, testenv.Program(t), nil, testenv.UpArgs(data, "--processes", "--edges", "2")...)
	testenv.SiteURL(t, up)
	report := filepath.Join(t.TempDir(), "report.html")
	out := run(
		t, 5*time.Minute, nil, testenv.Program(t), "--data", data, "--log-level", "error", "bench", "--visitors", "2",
		"--warmup", "500ms", "--duration", "2s", "--json", "--report", report, "--signed-in", "50", "--sign-ins", "4",
	)
	var res bench.Result
	if err := json.Unmarshal([]byte(out), &res); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, f := range res.Failures {
		// Pictures are made on the first request, which may take too long on a busy machine.
		if f.Kind != "status 503" || !strings.HasPrefix(f.Example, "picture") {
			t.Errorf("%d x %s: %s", f.Count, f.Kind, f.Example)
		}
	}
	if len(res.Setup.Edges) != 2 || res.Setup.Pages < 10 || res.Visits == 0 || res.Connections == 0 {
		t.Errorf(
			"edges %q, %d pages to begin with, %d visits over %d connections", res.Setup.Edges, res.Setup.Pages,
			res.Visits, res.Connections,
		)
	}
	known := map[string]bool{"near": true, "memcached": true, "render": true, "stale": true, "none": true}
	for _, k := range res.Kinds {
		for tier := range k.Tiers {
			if !known[tier] {
				t.Errorf("%s from %q", k.Name, tier)
			}
		}
	}
	if in, out := res.Part("signed in"), res.Part("anonymous"); in.Visitors != 1 || out.Visitors != 1 ||
		in.Pages == 0 || out.Pages == 0 || in.Requests+out.Requests != res.Requests {
		t.Errorf("signed in: %+v, anonymous: %+v, of %d requests", in, out, res.Requests)
	}
	if res.Storm == nil || res.Storm.Outcomes["signed in"] != 4 {
		t.Errorf("4 people signed in at once: %+v", res.Storm)
	}
	paid := map[string]int{}
	for _, c := range res.Servers {
		paid[c.Name] = c.Processes
	}
	if runtime.GOOS == "linux" &&
		(paid["up"] != 1 || paid["edge"] != 2 || paid["renderer"] != 2 ||
			paid["cachefill"] != 1 || paid["memcached"] != 1 || paid["postgres"] < 2) {
		t.Errorf("processes %v", paid)
	}
	if page, err := os.ReadFile(report); err != nil || !strings.Contains(string(page), "</html>") {
		t.Errorf("the report has %d bytes: %v", len(page), err)
	}
	if status := up.Stop(t); status != 0 {
		t.Errorf("status %d: %s", status, up.Stderr)
	}
}

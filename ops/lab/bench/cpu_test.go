package bench

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/lab/cputime"
)

func TestNamesOfProcesses(t *testing.T) {
	t.Parallel()
	root := cputime.Process{PID: 1, Command: "killr", Args: []string{"killr", "up", "--processes"}}
	for want, p := range map[string]cputime.Process{
		"site":      root,
		"edge":      {PID: 2, Command: "killr", Args: []string{"/bin/killr", "edge", "--data", "x"}},
		"memcached": {PID: 3, Command: "memcached", Args: []string{"memcached", "-l"}},
		"postgres":  {PID: 4, Command: "postgres", Args: []string{"postgres: killr killr 127.0.0.1(1) idle"}},
	} {
		if got := nameOf(Server{"site", 1}, root, p); got != want {
			t.Errorf("%+v is called %q, want %q", p, got, want)
		}
	}
	// as of a worker that renamed itself
	for _, args := range [][]string{nil, {"killr"}, {"killr", ""}, {"killr", "--data"}} {
		if got := nameOf(
			Server{"site", 1}, root, cputime.Process{PID: 5, Command: "killr", Args: args},
		); got != "site" {
			t.Errorf("%q is called %q, want the server's name", args, got)
		}
	}
}

func TestSpent(t *testing.T) {
	t.Parallel()
	before := costs{used: map[string]time.Duration{"edge": time.Second, "postgres": 3 * time.Second}}
	after := costs{
		used: map[string]time.Duration{
			"edge": 2 * time.Second, "postgres": 5 * time.Second, "renderer": 500 * time.Millisecond,
		},
		processes: map[string]int{"edge": 1, "postgres": 9, "renderer": 2},
	}
	want := []CPU{{"postgres", 9, 2, 1000, 20_000}, {"edge", 1, 1, 500, 10_000}, {"renderer", 2, 0.5, 250, 5_000}}
	if got := spent(before, after, 2000, 100); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := newCPU("idle", 1, time.Second, 0, 0); got.PerRequest != 0 || got.PerPage != 0 {
		t.Errorf("%+v, want no costs of nothing", got)
	}
}

// The test's own process is the server here.
func TestCostsAreCounted(t *testing.T) {
	t.Parallel()
	cfg := some(listen(t, &site{}), 10)
	cfg.Servers = []Server{{Name: "us", PID: os.Getpid()}}
	res := mustRun(t, cfg)
	if runtime.GOOS != "linux" {
		if !strings.Contains(res.CPUUnknown, "/proc") {
			t.Errorf("nothing says that processor time is not known: %+v", res)
		}
		return
	}
	if i := slices.IndexFunc(res.Servers, func(c CPU) bool { return c.Name == "us" }); i < 0 ||
		res.Servers[i].Processes != 1 || res.CPUUnknown != "" {
		t.Errorf("servers %+v, unknown %q; want ourselves", res.Servers, res.CPUUnknown)
	}
	if res.Generator.Seconds <= 0 {
		t.Errorf("generator %+v; want some time", res.Generator)
	}

	cfg.Servers = []Server{{Name: "nobody", PID: 1<<22 + 1}}
	if res := mustRun(t, cfg); !strings.HasPrefix(res.CPUUnknown, "nobody: ") {
		t.Errorf("unknown is %q; want that the process was not found", res.CPUUnknown)
	}
}

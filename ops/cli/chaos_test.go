package cli

import (
	"strings"
	"testing"
)

// TestChaosOfARunningSiteAsks: without --yes it says what it would break, of which site, and does nothing. It refuses
// what needs a site of its own.
func TestChaosOfARunningSiteAsks(t *testing.T) {
	t.Parallel()
	all := listenAndCount(t) // the edge and all services
	site := []string{
		"chaos", "--edge", "http://" + all.addr, "--nats", "nats://" + all.addr, "--memcached", all.addr,
		"--postgres", "postgres://a:secret@" + all.addr + "/c",
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"without --yes": {site, 1, []string{
			"--yes", "http://" + all.addr, "500 pages a second", "memcached is flushed", "the relay is held back",
		}},
		"another row": {append(site, "--yes", "--row", "PostgreSQL restarts"), 1, []string{
			"PostgreSQL restarts", "--edge",
		}},
		"a control":         {append(site, "--yes", "--control"), 1, []string{"--control", "--edge"}},
		"machines":          {append(site, "--yes", "--fleet"), 2, []string{"--fleet", "--edge"}},
		"no running site":   {[]string{"chaos", "--yes"}, 2, []string{"--edge"}},
		"nothing is known":  {append(site[:3:3], "--data", t.TempDir()), 1, []string{"--memcached"}},
		"no memcached said": {append(site[:5:5], "--data", t.TempDir()), 1, []string{"--memcached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, logs := killr(t.Context(), c.args...)
			if status != c.status || stdout != "" || strings.Contains(logs, "secret") {
				t.Errorf("status %d: %s%s", status, stdout, logs)
			}
			for _, want := range c.says {
				if !strings.Contains(logs, want) {
					t.Errorf("it does not say %q: %s", want, logs)
				}
			}
		})
	}
	t.Cleanup(func() {
		if n := all.calls.Load(); n != 0 {
			t.Errorf("%d connections reached the site", n)
		}
	})
}

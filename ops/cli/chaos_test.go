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
		args []string
		says []string
	}{
		"without --yes": {site, []string{
			"--yes", "http://" + all.addr, "500 pages a second", "memcached is flushed", "the relay is held back",
		}},
		"another row": {append(site, "--yes", "--row", "PostgreSQL restarts"), []string{
			"PostgreSQL restarts", "--edge",
		}},
		"a control":         {append(site, "--yes", "--control"), []string{"--control", "--edge"}},
		"machines":          {append(site, "--yes", "--fleet"), []string{"--fleet", "--edge"}},
		"no running site":   {[]string{"chaos", "--yes"}, []string{"--edge"}},
		"nothing is known":  {append(site[:3:3], "--data", t.TempDir()), []string{"--memcached"}},
		"no memcached said": {append(site[:5:5], "--data", t.TempDir()), []string{"--memcached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, logs := killr(t.Context(), c.args...)
			if status != 1 || stdout != "" || strings.Contains(logs, "secret") {
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

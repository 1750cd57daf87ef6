//go:build linux

package deploy

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCommitsWaitForNoted: PostgreSQL waits for the replicas that Patroni has noted, also when it has noted none and
// there is none.
func TestCommitsWaitForNoted(t *testing.T) {
	t.Parallel()
	script, err := serviceUnits.ReadFile("services/postgres.py")
	if err != nil {
		t.Fatal(err)
	}
	const ask = `
from types import SimpleNamespace
class Handler:
    def current_state(self, cluster, nodes, lag): return best, best
    def set_synchronous_standby_names(self, names): print('waits for', names)
for best, noted in ([], []), (['m3'], ['m3']):
    Ha.process_sync_replication(SimpleNamespace(
        is_synchronous_mode=lambda: True, is_synchronous_mode_strict=lambda: False,
        cluster=SimpleNamespace(sync=SimpleNamespace(is_empty=not noted, members=noted)),
        patroni=SimpleNamespace(config={'synchronous_node_count': 1, 'maximum_lag_on_syncnode': -1}),
        state_handler=SimpleNamespace(sync_handler=Handler())))
`
	program := strings.Replace(string(script), "if __name__ == '__main__'", "if False", 1) + ask
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program).CombinedOutput()
	if err != nil || string(out) != "waits for []\nwaits for ['m3']\n" {
		t.Errorf("%v: %s", err, out)
	}
}

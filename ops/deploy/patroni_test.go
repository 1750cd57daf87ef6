//go:build linux

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommitsWaitForNoted: PostgreSQL waits for the replicas that Patroni has noted, also when it has noted none and
// there is none. When the last replica is gone, Patroni notes that first, and then PostgreSQL stops waiting.
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
def write(name, replica, index):
    print('notes', replica, index)
    return writes
for best, noted, waits, writes in ([], [], '', False), (['m3'], ['m3'], '', False), ([], [], 'm3', True), (
        [], [], 'm3', False):
    Ha.process_sync_replication(SimpleNamespace(
        is_synchronous_mode=lambda: True, is_synchronous_mode_strict=lambda: False,
        cluster=SimpleNamespace(sync=SimpleNamespace(is_empty=not noted, members=noted, index=7)),
        patroni=SimpleNamespace(config={'synchronous_node_count': 1, 'maximum_lag_on_syncnode': -1}),
        dcs=SimpleNamespace(write_sync_state=write),
        state_handler=SimpleNamespace(
            name='m1', sync_handler=Handler(), synchronous_standby_names=lambda: waits)))
`
	version, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c",
		"from patroni.version import __version__; print(__version__)").CombinedOutput()
	if err != nil || string(version) != "3.0.2\n" {
		t.Fatalf("postgres.py is for Patroni 3.0.2, which this test needs: %v: %s", err, version)
	}
	program := strings.Replace(string(script), "if __name__ == '__main__'", "if False", 1) + ask
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program).CombinedOutput()
	const want = "waits for []\nwaits for ['m3']\nnotes None 7\nwaits for []\nnotes None 7\n"
	if err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

// TestPatroniStartsPostgresWithoutItsFile: the process by which Patroni starts PostgreSQL does not read postgres.py,
// which a deployment may have removed by then.
func TestPatroniStartsPostgresWithoutItsFile(t *testing.T) {
	t.Parallel()
	const ask = "    from multiprocessing import spawn\n" +
		"    print(spawn.get_preparation_data('x').get('init_main_from_path'))\n"
	script := service(t, "postgres.py", "    main()\n", ask)
	path := filepath.Join(t.TempDir(), "postgres.py")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", path).CombinedOutput()
	if err != nil || string(out) != "None\n" {
		t.Errorf("it reads %s (%v)", out, err)
	}
}

//go:build linux

package units

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mostExposure is the exposure that a unit may have, in tenths: from 0, safe, to 100.
const mostExposure = "15"

// install writes the units to a folder.
func install(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, u := range All() {
		if err := os.WriteFile(filepath.Join(dir, u.Name), u.Text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestExposure: what a role can do on its machine is little, by systemd's own measure.
func TestExposure(t *testing.T) {
	t.Parallel()
	dir, services := install(t), 0
	for _, u := range All() {
		if !strings.HasSuffix(u.Name, ".service") {
			continue
		}
		services++
		t.Run(u.Name, func(t *testing.T) {
			t.Parallel()
			check := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager",
				"--threshold="+mostExposure, filepath.Join(dir, u.Name))
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%v (`killr setup` installs systemd): %s", err, out)
			}
		})
	}
	if services != 3 {
		t.Errorf("%d services, want one for each role", services)
	}
}

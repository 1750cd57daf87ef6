//go:build linux

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs puts programs into a folder, which are scripts of sh. DIR in them is the folder.
func programs(t *testing.T, all map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range all {
		text = "#!/bin/sh\n" + strings.ReplaceAll(text, "DIR", dir) + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a script as hosts do, with the programs of a folder before others. It returns what the script said.
func run(t *testing.T, script, dir string, more []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash",
		append([]string{"--norc", "-euo", "pipefail", "-c", script, "killr"}, args...)...)
	cmd.Env = append(append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH")), more...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// wrote is what programs have written to a file of their folder.
func wrote(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// service is the script of a service, with other paths in it.
func service(t *testing.T, name string, changes ...string) string {
	t.Helper()
	text, err := serviceUnits.ReadFile("services/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(string(text), changes[i]) {
			t.Fatalf("%s has no %q", name, changes[i])
		}
	}
	return strings.NewReplacer(changes...).Replace(string(text))
}

// TestHandOverAsksAgain: an answer of Patroni that does not come is awaited.
func TestHandOverAsksAgain(t *testing.T) {
	t.Parallel()
	dir := programs(t, map[string]string{"patronictl": `if [ ! -e DIR/asked ]; then touch DIR/asked; exit 1; fi
		printf 'Cluster\tMember\tHost\tRole\tState\nkillr\tm2\t10.0.0.2\tLeader\trunning\n'`})
	if out, err := run(t, scriptOf("handover"), dir, nil, "m1"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestInstallKeepsOthers: a service that the machine had before is not stopped; one that comes with a package is, even
// if not all could be installed.
func TestInstallKeepsOthers(t *testing.T) {
	t.Parallel()
	for _, fails := range []string{"", "exit 100"} {
		dir := programs(t, map[string]string{
			"apt-get": `if [ "$2" != -o ]; then ` + fails + "\ntrue; fi",
			"systemctl": `case "$*" in
				"cat postgresql.service") ;;
				cat*) exit 1 ;;
				*) echo "$*" >>DIR/done ;;
				esac`,
		})
		script := strings.ReplaceAll(scriptOf("install"), "/etc/", dir+"/")
		out, err := run(t, script, dir, nil, "etcd-server", "etcd-client", "postgresql", "python3-idna")
		if (err != nil) != (fails != "") {
			t.Errorf("apt-get %q: %v: %s", fails, err, out)
		}
		if got := wrote(t, dir, "done"); got != "disable --now etcd\n" {
			t.Errorf("apt-get %q: systemctl %s", fails, got)
		}
	}
}

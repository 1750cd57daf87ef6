//go:build linux

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
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

// TestHandOverAsksAgain: an answer of Patroni that does not come is awaited, and then a replica for which commits wait.
func TestHandOverAsksAgain(t *testing.T) {
	t.Parallel()
	dir := programs(t, map[string]string{"patronictl": `echo asked >>DIR/asked
		n=$(wc -l <DIR/asked)
		if [ $n = 1 ]; then exit 1; fi
		printf 'Cluster\tMember\tHost\tRole\tState\nkillr\tm2\t10.0.0.2\tLeader\trunning\n'
		if [ $n = 3 ]; then printf 'killr\tm1\t10.0.0.1\tSync Standby\tstreaming\n'; fi`})
	out, err := run(t, scriptOf("handover"), dir, nil, "m1")
	if asked := wrote(t, dir, "asked"); err != nil || strings.Count(asked, "asked") != 3 {
		t.Errorf("it asked %d times: %v: %s", strings.Count(asked, "asked"), err, out)
	}
}

// TestHandOverFails: a member that is the primary again, as the other one ended, is the primary.
func TestHandOverFails(t *testing.T) {
	t.Parallel()
	dir := programs(t, map[string]string{"sleep": "", "patronictl": `echo asked >>DIR/asked
		leader=m1
		if [ $(wc -l <DIR/asked) = 1 ]; then leader=m3; fi
		printf 'Cluster\tMember\tHost\tRole\tState\nkillr\t%s\t10.0.0.2\tLeader\trunning\n' $leader`})
	out, err := run(t, scriptOf("handover"), dir, nil, "m1")
	if err == nil || !strings.Contains(out, "m1 has, so it stays the primary") {
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

// TestPostgresReady: a PostgreSQL that runs is not ended because it is not ready, which it may not be for long after a
// crash.
func TestPostgresReady(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		runs, alone, good bool
		primary           string
	}{
		{"it recovers", true, false, true, "false"},
		{"Patroni recovers it in a process alone", true, true, true, "false"},
		{"it copies the database", false, false, true, "true"},
		{"it does not run", false, false, false, "false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := programs(t, map[string]string{"pg_isready": "exit 2", "psql": c.primary, "patronictl": "true"})
			if err := os.Symlink("/usr/bin/sleep", filepath.Join(dir, "postgres")); err != nil {
				t.Fatal(err)
			}
			pid := os.Getpid() // as after a boot: the process of another program
			if c.runs {
				child, err := stack.StartChild(exec.Command(filepath.Join(dir, "postgres"), "600"), syscall.SIGKILL)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					_ = child.Signal(syscall.SIGKILL)
					<-child.Done()
				}()
				pid = child.PID()
			}
			if c.alone {
				pid = -pid
			}
			for name, text := range map[string]string{
				"PG_VERSION": "15", "postmaster.pid": fmt.Sprintln(pid), "site-password": "p",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			script := service(t, "postgres.sh", "/var/lib/killr-postgres/data", dir,
				"/etc/killr/credentials/postgres", dir, "/usr/lib/postgresql/$version/bin", dir, "-lt 100", "-lt 1")
			out, err := run(t, script, dir, []string{"ADDRESS=127.0.0.1", "MEMBERS=127.0.0.1"}, "ready")
			if (err == nil) != c.good {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestPasswordNotLogged: PostgreSQL's log has no password of the user that is made, also if that is slow or fails.
func TestPasswordNotLogged(t *testing.T) {
	t.Parallel()
	p := testenv.Postgres(t)
	conn, err := pgx.Connect(t.Context(), p.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var data string
	for _, sql := range []string{"ALTER DATABASE killr RENAME TO former", "ALTER ROLE killr RENAME TO former",
		"ALTER DATABASE postgres SET log_min_duration_statement = 0"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	dir := programs(t, map[string]string{"killr_site-password": ""})
	if err := os.WriteFile(filepath.Join(dir, "killr_site-password"), []byte("5ecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, works := range []bool{true, false} { // the second one finds the user
		out, err := run(t, service(t, "postgres.sh"), dir, []string{"CREDENTIALS_DIRECTORY=" + dir}, "make",
			p.AdminURL("postgres"))
		if (err == nil) != works {
			t.Errorf("%v: %s", err, out)
		}
	}
	log := wrote(t, filepath.Dir(data), "postgres.log")
	if !strings.Contains(log, `role "killr" already exists`) || strings.Contains(log, "5ecret") {
		t.Errorf("the log says\n%s", log)
	}
}

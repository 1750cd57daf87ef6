//go:build linux

package units

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/testenv"
)

// server is the machine of a test.
type server struct {
	t     *testing.T
	fleet *fleet.Fleet
	*fleet.Machine
}

func boot(t *testing.T) *server {
	t.Helper()
	f, err := fleet.Start(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &server{t, f, f.Machines[0]}
	t.Cleanup(func() {
		if t.Failed() {
			journal, _ := s.Run(context.Background(), "journalctl --no-pager -o cat -n 200; systemctl --failed")
			t.Log(journal)
		}
	})
	return s
}

// run runs a command that has to succeed within 2 minutes, and returns its output.
func (s *server) run(format string, args ...any) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	out, err := s.Machine.Run(ctx, fmt.Sprintf(format, args...))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// send copies a file of this computer to the machine.
func (s *server) send(from, to string) {
	s.t.Helper()
	out, err := s.fleet.Command(s.t.Context(), "scp", "-q", "-F", "/run/fleet/ssh_config", from, s.Name+":"+to).
		CombinedOutput()
	if err != nil {
		s.t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

// write writes a file on the machine.
func (s *server) write(name, text string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.run("mkdir -p %s", filepath.Dir(name))
	s.send(file, name)
}

// startServices starts the bus, the database and memcached on the machine, and writes where they are for the units.
func (s *server) startServices() {
	s.t.Helper()
	s.run(`systemd-run -q --unit=services /opt/killr/current/killr --data /srv/services up --renderers 0 --cachefills 0 \
		--addr 127.0.0.1:0 --nats-port 0 --memcached-memory 64 --users 40 --photos 300
	until grep -qs KILLR_EDGE /srv/services/stack.env; do systemctl is-active -q services; sleep 0.1; done
	sed -n 's/^export \(NATS_URL\|DATABASE_URL\|MEMCACHED_SERVERS\)=/\1=/p' /srv/services/stack.env >/etc/killr/site.env
	for role in edge renderer cachefill; do
		mkdir -p -m 700 /etc/killr/credentials/$role
		install -m 600 /srv/services/nkeys/$role.nk /etc/killr/credentials/$role/nats-seed
	done`)
}

// TestMachine runs the units on a machine.
func TestMachine(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.run("mkdir -p /opt/killr/releases/1 /etc/killr && ln -s releases/1 /opt/killr/current")
	s.run("useradd --system --home-dir /nonexistent killr")
	s.send(testenv.Program(t), "/opt/killr/releases/1/killr")
	for _, u := range All() {
		s.write("/etc/systemd/system/"+u.Name, string(u.Text))
	}
	s.startServices()
	s.run("systemctl daemon-reload && systemctl start killr-renderer@1 killr-cachefill@1 killr-edge@a")

	client := &http.Client{Transport: &http.Transport{DialContext: s.fleet.Dial}}
	defer client.CloseIdleConnections()
	get := func(path string) error {
		resp, err := client.Get("http://" + s.Address + path)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", path, resp.Status)
		}
		return err
	}
	if err := get("/photos/ansel"); err != nil {
		t.Fatal(err)
	}
}

//go:build linux

package main

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// page is one that renderers make.
const page = "/photos/ansel"

// packed makes a package for Debian of the program with some bytes behind it, which make it another release.
func packed(t *testing.T, more string) (p program, deb string) {
	t.Helper()
	text, err := os.ReadFile(testenv.Program(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "killr")
	if err := os.WriteFile(path, append(text, more...), 0o755); err != nil {
		t.Fatal(err)
	}
	if p, err = readProgram(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	deb = filepath.Join(dir, "killr.deb")
	if err := run(t.Context(), []string{path}, deb, ""); err != nil {
		t.Fatal(err)
	}
	return p, deb
}

// TestMachine installs the package on a machine, runs a site with it, upgrades it under requests, and purges it.
func TestMachine(t *testing.T) {
	t.Parallel()
	s := boot(t)
	first, deb := packed(t, "")
	s.send(deb, "/root/killr.deb")
	s.run("dpkg -i /root/killr.deb")
	s.startServices()
	s.run("systemctl enable -q --now killr-renderer@1 killr-cachefill@1 killr-edge@a")
	if err := s.visit(s.client(true), 80, page); err != nil {
		t.Fatal(err)
	}
	if version := s.run("killr version"); !strings.Contains(version, first.version) {
		t.Errorf("it is %s, want %s", version, first.version)
	}

	t.Run("passwords and pictures are worked on outside of the renderer", func(t *testing.T) {
		s.worksOutside(t)
	})
	t.Run("container", func(t *testing.T) { s.container(t, first) })
	t.Run("upgrade", func(t *testing.T) { s.upgrade(t) })
	t.Run("the socket starts an edge", func(t *testing.T) {
		s.run("systemctl stop killr-edge@b")
		if err := s.visit(s.client(false), 80, page); err != nil {
			t.Error(err)
		}
		s.run("systemctl is-active killr-edge@a")
	})
	t.Run("a renderer that hangs is restarted", func(t *testing.T) { s.hang(t) })
	t.Run("purge", func(t *testing.T) {
		s.run("dpkg --purge killr")
		for _, left := range []string{
			"ls -d /opt/killr /etc/killr /lib/systemd/system/killr* /usr/bin/killr /etc/systemd/system/killr*",
			"pgrep -u killr .", "systemctl --plain --no-legend list-units 'killr*' | grep .",
		} {
			if out, err := s.Run(t.Context(), left); err == nil || out != "" {
				t.Errorf("%s finds %s", left, out)
			}
		}
		s.run("ls -d /var/lib/killr/pictures")
	})
}

// startServices starts the bus, the database and memcached on the machine, and writes where they are for the units.
func (s *server) startServices() {
	s.t.Helper()
	s.run(`systemd-run -q --unit=services killr --data /srv/services up --renderers 0 --cachefills 0 --addr 127.0.0.1:0 \
		--nats-port 0 --memcached-memory 64 --users 5 --photos 20
	until grep -qs KILLR_EDGE /srv/services/stack.env; do systemctl is-active -q services; sleep 0.1; done
	sed -n 's/^export \(NATS_URL\|DATABASE_URL\|MEMCACHED_SERVERS\)=/\1=/p' /srv/services/stack.env >/etc/killr/site.env
	echo KILLR_EDGE_DRAIN=1s >/etc/killr/edge.env
	for role in edge renderer cachefill; do
		install -m 600 /srv/services/nkeys/$role.nk /etc/killr/credentials/$role/nats-seed
	done`)
}

// worksOutside signs somebody in and uploads a picture. Processes with a low priority do the work.
func (s *server) worksOutside(t *testing.T) {
	s.run("mkdir -p /root/pictures")
	s.write("/root/pictures/one.jpg", photo(t))
	const login = "echo 'early and on foot' | killr login --edge http://127.0.0.1 --config /root/token --name ansel"
	s.run("%s\nkillr upload --edge http://127.0.0.1 --config /root/token /root/pictures", login)
	workers := ""
	testenv.Within(t, 2*time.Minute, "processes of the renderer hash and decode", func() bool {
		workers = s.run("ps -u killr -o cls=,ni=,args= | grep -E 'killr (hash|picture)$' || %s >&2", login)
		return strings.Contains(workers, "killr hash") && strings.Contains(workers, "killr picture")
	})
	for line := range strings.Lines(workers) {
		fields := strings.Fields(line)
		if nice, err := strconv.Atoi(fields[1]); fields[0] != "IDL" && (err != nil || nice <= 0) {
			t.Errorf("it has no low priority: %s", line)
		}
	}
	// On a busy computer one may be too slow, and its work is done otherwise.
	const failed = "journalctl -u 'killr-renderer@*' | grep 'for now' | grep -v 'no answer for'"
	if said, err := s.Run(t.Context(), failed); err == nil {
		t.Error(said)
	}
	s.run("find /var/lib/killr/pictures -type f -user killr | grep -q .")
}

// photo is a small photo.
func photo(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	picture := image.NewYCbCr(image.Rect(0, 0, 1200, 900), image.YCbCrSubsampleRatio420)
	if err := jpeg.Encode(&b, picture, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// upgrade installs another release under requests.
func (s *server) upgrade(t *testing.T) {
	next, deb := packed(t, "\n")
	s.send(deb, "/root/next.deb")
	stop := s.load(page)
	s.run("dpkg -i /root/next.deb")
	stop()
	s.run("systemctl is-active killr-edge@b")
	if _, err := s.Run(t.Context(), "systemctl is-active killr-edge@a"); err == nil {
		t.Error("both edges run")
	}
	for _, unit := range []string{"killr-edge@b", "killr-renderer@1", "killr-cachefill@1"} {
		exe := s.run("readlink /proc/$(systemctl show -P MainPID %s)/exe", unit)
		if !strings.Contains(exe, next.build) {
			t.Errorf("%s runs %s, want %s", unit, exe, next.build)
		}
	}
	if kept := s.run("grep -c NATS_URL /etc/killr/site.env"); kept != "1" {
		t.Error("the configuration was lost")
	}
}

// hang stops a renderer from running. systemd notices, and starts another one.
func (s *server) hang(t *testing.T) {
	s.run(`mkdir -p /run/systemd/system/killr-renderer@1.service.d
	printf '[Service]\nWatchdogSec=15s\n' >/run/systemd/system/killr-renderer@1.service.d/soon.conf
	systemctl daemon-reload; systemctl restart killr-renderer@1`)
	before := s.run("systemctl show -P MainPID killr-renderer@1")
	s.run("[ %s -gt 1 ] && kill -STOP %s", before, before)
	testenv.Within(t, 2*time.Minute, "another process is the renderer", func() bool {
		now := strings.Fields(s.run("systemctl show -P MainPID -P ActiveState killr-renderer@1"))
		return len(now) == 2 && now[1] == "active" && now[0] != before
	})
	s.run("journalctl -u killr-renderer@1 | grep -q 'SIGABRT: abort'") // and what each goroutine did
	testenv.Within(t, 2*time.Minute, "pages come again", func() bool {
		return s.visit(s.client(false), 80, "/photos/mallory") == nil
	})
}

// TestDebianVersion: pre-releases come before their release.
func TestDebianVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "1.2.3+abc": "1.2.3+abc", "1.2.3-rc.1+abc": "1.2.3~rc.1+abc",
		"1.2.4-0.20260102030405-0123456789ab+dirty.abc": "1.2.4~0.20260102030405.0123456789ab+dirty.abc",
	} {
		if got := debianVersion(version); got != want {
			t.Errorf("%s is %s, want %s", version, got, want)
		}
	}
}

// TestNeedsLibraries: a program that needs libraries of C is not packed.
func TestNeedsLibraries(t *testing.T) {
	t.Parallel()
	deb := filepath.Join(t.TempDir(), "killr.deb")
	err := run(t.Context(), []string{"/bin/true"}, deb, "")
	if err == nil {
		t.Error("/bin/true was packed")
	}
	if err := standsAlone("/bin/sh"); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Error(err)
	}
}

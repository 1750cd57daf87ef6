//go:build linux

package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) {
	if beFleet() {
		return
	}
	goleak.VerifyTestMain(m)
}

// start starts a fleet that ends with the test, and wants nothing left of it.
func start(t *testing.T, n int) *Fleet {
	t.Helper()
	return startSharing(t, n, "")
}

// startSharing is start with a directory that all machines see.
func startSharing(t *testing.T, n int, dir string) *Fleet {
	t.Helper()
	f, err := StartSharing(t.Context(), n, dir)
	if err != nil {
		t.Fatal(err)
	}
	traces := tracesOf(t, f)
	t.Cleanup(func() {
		traces.add(t) // machines may have been booted again
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
		for _, left := range traces.left(t) {
			t.Error("left behind: ", left)
		}
	})
	return f
}

// run runs a command that has to succeed, and returns its output.
func run(t *testing.T, m *Machine, command string) string {
	t.Helper()
	out, err := m.Run(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// connects reports whether one machine reaches the other's sshd within 2 s. The first has to take commands.
func connects(t *testing.T, from, to *Machine) bool {
	t.Helper()
	const try = "if timeout 2 bash -c '</dev/tcp/%s/22'; then echo yes; else echo no; fi"
	return run(t, from, fmt.Sprintf(try, to.Name)) == "yes"
}

// reaches waits until one machine reaches the other: it may believe for some seconds that nobody has that address.
func reaches(t *testing.T, from, to *Machine) {
	t.Helper()
	testenv.Within(t, 2*time.Minute, from.Name+" reaches "+to.Name, func() bool { return connects(t, from, to) })
}

// TestFaults breaks one machine of three in each way, and looks at it from the others.
func TestFaults(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	f := startSharing(t, 3, shared)
	a, b, c := f.Machines[0], f.Machines[1], f.Machines[2]

	for _, m := range f.Machines {
		if name := run(t, m, "hostname"); name != m.Name {
			t.Errorf("%s calls itself %s", m.Name, name)
		}
		if state, err := m.Run(t.Context(), "systemctl is-system-running"); err != nil {
			failed, _ := m.Run(t.Context(), "systemctl --failed --plain")
			t.Errorf("%s is %s: %v\n%s", m.Name, state, err, failed)
		}
		if first := run(t, m, "cat /proc/1/comm"); first != "systemd" {
			t.Errorf("PID 1 of %s is %s", m.Name, first)
		}
	}
	run(t, a, "echo of a >/etc/only-a")
	if _, err := b.Run(t.Context(), "cat /etc/only-a"); err == nil {
		t.Error("machines share a disk")
	}
	run(t, a, "echo of a >"+SharedDir+"/note")
	here, err := os.ReadFile(filepath.Join(shared, "note"))
	if there := run(t, b, "cat "+SharedDir+"/note"); there != "of a" || string(here) != "of a\n" {
		t.Errorf("in the directory that all see, b finds %q, and this computer %q, %v", there, here, err)
	}
	const write = "v=$(cat /proc/sys/%[1]s) && echo $v >/proc/sys/%[1]s"
	if _, err := a.Run(t.Context(), fmt.Sprintf(write, "fs/file-max")); err == nil {
		t.Error("a machine writes settings of this computer's kernel")
	}
	run(t, a, "echo 1 >/proc/sys/net/ipv4/ip_forward")
	if got := run(t, b, "cat /proc/sys/net/ipv4/ip_forward"); got != "0" {
		t.Error("machines share settings of the network")
	}

	t.Run("cut", func(t *testing.T) {
		if err := b.Cut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if connects(t, a, b) {
			t.Error("a reaches b, which is cut off")
		}
		reaches(t, a, c) // which is not cut off
		if err := b.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		reaches(t, a, b)
	})

	t.Run("slow", func(t *testing.T) {
		// A cable that could not be made slow is as it was.
		if err := f.script(t.Context(), `ip link add c2 type bridge; ip link set p2 master c2`); err != nil {
			t.Fatal(err)
		}
		const delay = 100 * time.Millisecond
		if err := b.Slow(t.Context(), Slowness{Delay: delay, BytesPerSecond: 100_000}); err != nil {
			t.Fatal(err)
		}
		const size = 200_000
		send := fmt.Sprintf("head -c %d /dev/zero", size)
		// A connection takes a packet each way, and 200 kB at 100 kB/s two seconds: no computer makes that shorter.
		if took := took(t, a, "timeout 60 bash -c '</dev/tcp/m2/22'"); took < 2*delay {
			t.Errorf("a connection took %s through a cable that delays by %s each way", took, delay)
		}
		began := time.Now()
		if out := run(t, b, send+" | tr '\\0' x"); len(out) != size {
			t.Errorf("%d of %d bytes arrived", len(out), size)
		}
		if took := time.Since(began); took < 1500*time.Millisecond {
			t.Errorf("%d bytes took %s at 100,000 a second", size, took)
		}
		if err := b.Slow(t.Context(), Slowness{Lost: 1}); err != nil {
			t.Fatal(err)
		}
		if connects(t, a, b) {
			t.Error("a reaches b by a cable that loses everything")
		}
		if err := b.Slow(t.Context(), Slowness{}); err != nil {
			t.Fatal(err)
		}
		reaches(t, a, b)
	})

	t.Run("kill and boot", func(t *testing.T) {
		testenv.Within(t, 3*time.Minute, "commands reach b again", func() bool {
			_, err := b.Run(t.Context(), "true")
			return err == nil
		})
		run(t, b, "echo kept >/var/kept; echo lost >/run/lost")
		if err := b.Boot(t.Context()); err == nil {
			t.Error("a machine that runs was booted")
		}
		ended := b.Ended()
		if err := b.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		default:
			t.Error("b has not ended")
		}
		if connects(t, a, b) {
			t.Error("a reaches b, which was killed")
		}
		if err := b.Boot(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := run(t, b, "cat /var/kept; ls /run/lost 2>&1 || true"); !strings.HasPrefix(got, "kept\nls: cannot") {
			t.Errorf("after a boot: %s", got)
		}
		reaches(t, a, b)
	})

	t.Run("the operator's computer", func(t *testing.T) {
		out, err := f.Command(t.Context(), "ssh", "m3", "hostname").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "m3" {
			t.Errorf("ssh m3: %v: %s", err, out)
		}
	})
}

// took is how long a command takes on a machine, measured there.
func took(t *testing.T, m *Machine, command string) time.Duration {
	t.Helper()
	out := run(t, m, "a=$(date +%s%N); "+command+"; b=$(date +%s%N); echo $((b-a))ns")
	d, err := time.ParseDuration(out)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// BenchmarkStart starts five machines, and ends them.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		f, err := Start(b.Context(), 5)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := f.Stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

package password

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// servesAs is the environment variable that turns this test program into a process that hashes: "well", or "badly",
// which says something else instead.
const servesAs = "KILLR_TEST_HASHES"

func TestMain(m *testing.M) {
	switch os.Getenv(servesAs) {
	case "well":
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case "badly":
		os.Stdout.WriteString("no answer of a process that hashes")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// started runs this test program as a process that hashes, and keeps each that was started.
type started struct {
	as string

	mu       sync.Mutex
	commands []*exec.Cmd
	failures []error
}

func (s *started) command() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), servesAs+"="+s.as)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, cmd)
	return cmd
}

func (s *started) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, err)
}

// cheap is a cost for tests that hash often.
var cheap = cost{memory: 64, time: 1, threads: 1}

// cheapHash is a hash made in this process.
func cheapHash(password string) []byte {
	return question{password, make([]byte, saltSize), cheap.memory, cheap.time, cheap.threads, hashSize}.hash()
}

// TestOutside: hashes of other processes are those of this one, a process is used again, one that ended is replaced,
// and none is left at the end. What all hashes of this process go through is one variable, so its parts take turns.
func TestOutside(t *testing.T) { //nolint:paralleltest // Outside is for the whole process
	const atOnce, asked = 2, 40
	s := &started{as: "well"}
	end := Outside(atOnce, s.command, s.failed)
	all := outside.Load()
	var hashes sync.WaitGroup
	for i := range asked {
		hashes.Go(func() {
			password := string(rune('a'+i)) + "\xff\x00"
			if !bytes.Equal(cheap.hash(password, make([]byte, saltSize), hashSize), cheapHash(password)) {
				t.Errorf("%q has another hash", password)
			}
		})
	}
	hashes.Wait()
	if n := len(s.commands); n != atOnce || len(s.failures) > 0 {
		t.Errorf("%d processes for %d hashes, failures %v; want %d, and none", n, asked, s.failures, atOnce)
	}
	for _, c := range s.commands {
		priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, c.Process.Pid)
		// Linux returns 20 less the nice value.
		if runtime.GOOS == "linux" && (err != nil || priority > 20-outsideNice) {
			t.Errorf("the priority of a process that hashes is %d, %v; want %d", priority, err, 20-outsideNice)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * atOnce { // the first ones find that their process has ended
		if !bytes.Equal(cheap.hash("lake", make([]byte, saltSize), hashSize), cheapHash("lake")) {
			t.Error("without its process a hash is another")
		}
	}
	if len(s.failures) != atOnce || len(s.commands) != 2*atOnce {
		t.Errorf("%d failures and %d processes after %d were killed: %v", len(s.failures), len(s.commands), atOnce,
			s.failures)
	}
	end()
	for _, c := range s.commands {
		if c.ProcessState == nil {
			t.Errorf("process %d is left", c.Process.Pid)
		}
	}
	if sum, ok := all.hash(question{}); ok {
		t.Errorf("hashed after the end: %x", sum)
	}
	if outside.Load() != nil {
		t.Error("after the end hashes are asked for elsewhere")
	}
}

// TestOutsideFails: a process that cannot be started, or answers nonsense, is told of, and costs no hash.
func TestOutsideFails(t *testing.T) { //nolint:paralleltest // Outside is for the whole process
	bad, missing := &started{as: "badly"}, &started{}
	for _, s := range []struct {
		*started
		command func() *exec.Cmd
	}{{bad, bad.command}, {missing, func() *exec.Cmd { return exec.Command("/no/such/program") }}} {
		end := Outside(1, s.command, s.failed)
		if !bytes.Equal(cheap.hash("lake", make([]byte, saltSize), hashSize), cheapHash("lake")) {
			t.Error("a process that fails changes a hash")
		}
		if len(s.failures) != 1 {
			t.Errorf("failures %v, want one", s.failures)
		}
		end()
	}
}

// BenchmarkOutside is [BenchmarkHash] in a process of its own.
func BenchmarkOutside(b *testing.B) {
	s := &started{as: "well"}
	defer Outside(1, s.command, func(err error) { b.Error(err) })()
	for b.Loop() {
		Hash("mountain lake", "ansel k1")
	}
}

package password

import (
	"bytes"
	"encoding/gob"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"flickrkillr/renderer/outside"
)

// servesAs is the environment variable that turns this test program into a process that hashes: "well"; "badly", which
// says something else instead; "never", which says nothing; "when told", which says bytes of marked, and again once
// file 3 ends.
const servesAs = "KILLR_TEST_HASHES"

const marked = 0xaa

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
	case "never":
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case "when told":
		answer, encoder := bytes.Repeat([]byte{marked}, hashSize), gob.NewEncoder(os.Stdout)
		if err := encoder.Encode(answer); err != nil {
			os.Exit(1)
		}
		_, _ = io.Copy(io.Discard, os.NewFile(3, "until this ends"))
		if err := encoder.Encode(answer); err != nil {
			os.Exit(1)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// started runs this test program as a process that hashes, and keeps each that was started.
type started struct {
	as       string
	inherits *os.File // file 3 of the process; nil: it has none

	mu       sync.Mutex
	commands []*exec.Cmd
	failures []error
}

func (s *started) command() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), servesAs+"="+s.as)
	if s.inherits != nil {
		cmd.ExtraFiles = []*os.File{s.inherits}
	}
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
	all := newHashers(atOnce, time.Hour, s.command, s.failed)
	all.late = time.Hour
	all.Processes = outside.New(atOnce, s.command, 0)
	end := all.begin()
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
		if runtime.GOOS == "linux" && (err != nil || priority > 20-outside.Nice) {
			t.Errorf("the priority of a process that hashes is %d, %v; want %d", priority, err, 20-outside.Nice)
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
	if others.Load() != nil {
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
		end := Outside(1, OutsideBound, s.command, s.failed)
		if !bytes.Equal(cheap.hash("lake", make([]byte, saltSize), hashSize), cheapHash("lake")) {
			t.Error("a process that fails changes a hash")
		}
		cheap.hash("lake", make([]byte, saltSize), hashSize)
		if len(s.failures) != 1 || len(s.commands) > 1 {
			t.Errorf("%d processes and failures %v, want one: no other is tried so soon", len(s.commands), s.failures)
		}
		end()
	}
}

// TestOutsideHangs: a process that does not answer is killed, and the next hash does not wait for another.
func TestOutsideHangs(t *testing.T) { //nolint:paralleltest // Outside is for the whole process
	s := &started{as: "never"}
	all := newHashers(1, time.Millisecond, s.command, s.failed)
	all.late = time.Hour
	defer all.begin()()
	for range 2 {
		if !bytes.Equal(cheap.hash("lake", make([]byte, saltSize), hashSize), cheapHash("lake")) {
			t.Error("a process that does not answer changes a hash")
		}
	}
	if len(s.commands) != 1 || len(s.failures) != 1 || s.commands[0].ProcessState == nil {
		t.Errorf("%d processes, failures %v; want one, that has ended", len(s.commands), s.failures)
	}
}

// TestOutsideLate: of a process that is late the answer is waited for, and used; meanwhile and afterwards hashes are
// made here, by those that wait for its place, too.
func TestOutsideLate(t *testing.T) { //nolint:paralleltest // Outside is for the whole process
	answer, goOn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Close() }()
	defer func() { _ = goOn.Close() }()
	s := &started{as: "when told", inherits: answer}
	salt, meanwhile := make([]byte, saltSize), make(chan bool, 1)
	all := newHashers(1, time.Hour, s.command, nil)
	all.late = time.Millisecond
	all.failed = func(err error) {
		s.failed(err)
		meanwhile <- bytes.Equal(cheap.hash("lake", salt, hashSize), cheapHash("lake"))
		_ = goOn.Close() // only now the process answers
	}
	defer all.begin()()
	for range 2 { // the second one is late
		if sum := cheap.hash("lake", salt, hashSize); !bytes.Equal(sum, bytes.Repeat([]byte{marked}, hashSize)) {
			t.Errorf("an answer is thrown away: %x", sum)
		}
	}
	if !<-meanwhile || !bytes.Equal(cheap.hash("lake", salt, hashSize), cheapHash("lake")) {
		t.Error("a late process is asked further")
	}
	if len(s.commands) != 1 || len(s.failures) != 1 || s.commands[0].ProcessState != nil {
		t.Errorf("%d processes, failures %v; want one, that goes on", len(s.commands), s.failures)
	}
}

// BenchmarkOutside is [BenchmarkHash] in a process of its own.
func BenchmarkOutside(b *testing.B) {
	s := &started{as: "well"}
	defer Outside(1, OutsideBound, s.command, func(err error) { b.Error(err) })()
	for b.Loop() {
		Hash("mountain lake", "ansel k1")
	}
}

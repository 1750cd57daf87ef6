package cputime

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// spender is the environment variable that turns this test program into a process which uses processor time.
const spender = "KILLR_TEST_SPENDS"

func TestMain(m *testing.M) {
	switch os.Getenv(spender) {
	case "parent": // waits for a child that spends and ends, and for one that spends and stays
		for _, child := range []string{"ends", "stays"} {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), spender+"="+child)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
			if err := cmd.Run(); err != nil {
				os.Exit(1)
			}
		}
		os.Exit(0)
	case "ends":
		spend()
		os.Exit(0)
	case "stays":
		spend()
		os.Stdout.WriteString("spent\n")
		bufio.NewReader(os.Stdin).ReadString('\n') //nolint:errcheck // the end of the test is an answer too
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const spends = 150 * time.Millisecond

// spend uses processor time until the kernel says that it is enough.
func spend() {
	for {
		if used, err := Self(); err != nil || used >= spends {
			return
		}
		for i := range 1000 {
			_ = sha256.Sum256([]byte{byte(i)})
		}
	}
}

func TestTreeSumsChildrenThatRunAndThatEnded(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), spender+"=parent")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	tree, err := Tree(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) != 2 || tree[0].PID != cmd.Process.Pid || tree[1].Parent != cmd.Process.Pid {
		t.Fatalf("tree %+v, want the parent and the child that stays", tree)
	}
	if len(tree[0].Args) == 0 || tree[0].Args[0] != os.Args[0] ||
		!strings.HasPrefix(os.Args[0][strings.LastIndexByte(os.Args[0], '/')+1:], tree[0].Command) {
		t.Errorf("command %q, args %q; want those of %s", tree[0].Command, tree[0].Args, os.Args[0])
	}
	sum, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel's ticks are rounded down, once for each figure. No upper bound: what a start costs is not known.
	if least := 2*spends - 4*tick; sum < least {
		t.Errorf("the tree used %v, want at least %v: %+v", sum, least, tree)
	}
	for _, p := range tree { // neither figure alone has it all: the sum is one
		if p.Used < spends-2*tick || p.Used > sum-spends+2*tick {
			t.Errorf("%+v of %v: want %v or more each", p, sum, spends)
		}
	}
}

func TestTreeOfNobody(t *testing.T) {
	t.Parallel()
	if _, err := Tree(1<<22 + 1); !errors.Is(err, os.ErrNotExist) { // greater than any pid of Linux
		t.Errorf("error %v, want that there is no such process", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := parse("42 (a (b) c d) S 7 1 1 0 -1 0 0 0 0 0 100 20 3 4 20 0 1 0 5 0 0\n")
	if err != nil || p.PID != 42 || p.Parent != 7 || p.Command != "a (b) c d" || p.Used != 1270*time.Millisecond {
		t.Errorf("%+v, %v", p, err)
	}
	for _, broken := range []string{"", "42", "42 (a) S 7", "x (a) S 7 1 1 0 -1 0 0 0 0 0 100 20 3 4 20"} {
		if p, err := parse(broken); err == nil {
			t.Errorf("%q was read as %+v", broken, p)
		}
	}
}

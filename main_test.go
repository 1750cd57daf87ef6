package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"flickrkillr/ops/testenv"
)

// asProgram is the environment variable that turns this test program into killr itself. A process that hashes has
// no environment, so its argument does so.
const asProgram = "FLICKRKILLR_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if hashes := len(os.Args) == 2 && os.Args[1] == "hash"; hashes || os.Getenv(asProgram) != "" {
		main()
	}
	if err := os.Setenv(asProgram, "1"); err != nil { // for what the tests start
		panic(err)
	}
	testenv.Main(m)
}

// TestExitStatus: the status is the command's, and the version is the build's.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"done", []string{"version"}, 0, "killr " + buildVersion() + "+"},
		{"wrong flag", []string{"--nonsense"}, 2, "unknown flag --nonsense"},
		{"failed", []string{"--data", "/nowhere", "warm"}, 1, "run `killr up` first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := testenv.StartProcess(t, nil, c.args...)
			if status := p.Wait(t); status != c.status ||
				!strings.Contains(p.Stdout.String()+p.Stderr.String(), c.says) {
				t.Errorf("status %d, want %d: %s%s", status, c.status, p.Stdout, p.Stderr)
			}
		})
	}
}

// TestSecondCtrlC: the second signal ends a program at once that waits for a request to end.
func TestSecondCtrlC(t *testing.T) {
	t.Parallel()
	p := testenv.StartProcess(t, nil, testenv.UpArgs(testenv.DataDir(t), "--processes", "--edge-stop", "1h")...)
	addr := strings.Trim(strings.TrimPrefix(testenv.SiteURL(t, p), "http://"), "/")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A request that does not end.
	if _, err := conn.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	p.Signal(t, os.Interrupt)
	p.WaitLine(t, p.Stderr, "msg=stopping")
	p.Signal(t, syscall.SIGINT)
	if status := p.Wait(t); status != 130 {
		t.Errorf("status %d: %s", status, p.Stderr)
	}
}

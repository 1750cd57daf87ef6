// Package e2e tests the finished program through its front doors: browsers' HTTP, the bus as an operator sees it, and psql. It runs the
// built killr, so that what is tested is what is shipped. Everything below it is real: Postgres, memcached, NATS, Chromium, the NATS CLI.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var build struct {
	sync.Once
	err error
}

// program builds killr, once for all tests, and returns its path.
func program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(testenv.SharedDir(t), "killr")
	build.Do(func() {
		cmd := exec.Command("go", "build", "-pgo=off", "-o", path, "flickrkillr") // the profile takes a minute and changes nothing that is tested
		// As it is shipped, also where the tests themselves run with the race detector: pictures would take ten times as long.
		cmd.Env = append(os.Environ(), "GOFLAGS="+strings.ReplaceAll(os.Getenv("GOFLAGS"), "-race", ""))
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return path
}

// process is a running killr.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; after done

	mu    sync.Mutex
	lines []string // of its output, the last few thousand
	heard *sync.Cond
}

// killr starts the program. When the test ends, it is stopped if it has not been.
func killr(t testing.TB, args ...string) *process {
	t.Helper()
	path := program(t)
	p := &process{t: t, name: "killr " + args[0], done: make(chan struct{})}
	p.heard = sync.NewCond(&p.mu)
	p.cmd = exec.Command(path, append(args, "--log-format", "json")...)
	p.cmd.Env = append(os.Environ(), "KILLR_DATA="+filepath.Join(t.TempDir(), "unused"))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C for the tests is not one for it
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	var reading sync.WaitGroup
	reading.Go(func() { p.read(read) })
	go func() {
		p.err = p.cmd.Wait()
		reading.Wait()
		close(p.done)
		p.heard.Broadcast()
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, strings.Join(p.tail(60), "\n"))
		}
	})
	return p
}

func (p *process) read(r *os.File) {
	defer r.Close()
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, scanner.Text())
		if len(p.lines) > 4000 {
			p.lines = p.lines[1000:]
		}
		p.mu.Unlock()
		p.heard.Broadcast()
	}
}

func (p *process) tail(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines[max(0, len(p.lines)-n):]...)
}

// waitFor waits until a line of output contains text, and returns that line.
func (p *process) waitFor(text string, bound time.Duration) string {
	p.t.Helper()
	timer := time.AfterFunc(bound, p.heard.Broadcast)
	defer timer.Stop()
	end := time.Now().Add(bound)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for _, line := range p.lines {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s ended (%v) without saying %q:\n%s", p.name, p.err, text, strings.Join(p.lines, "\n"))
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s did not say %q within %v:\n%s", p.name, text, bound, strings.Join(p.lines, "\n"))
		}
		p.heard.Wait()
	}
}

// stop asks it to stop, as Ctrl-C does, and reports how it ended: nil for exit status 0. Safe to call twice.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(40 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return errors.Join(errors.New("it did not stop within 40 s and was killed"), p.err)
	}
	return p.err
}

// get fetches a URL without following redirects.
func get(ctx context.Context, client *http.Client, url string) (status int, header http.Header, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

// newClient makes a client that keeps up to n connections, without following redirects.
func newClient(t testing.TB, n int) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// run runs a program to its end and returns what it printed.
func run(t testing.TB, bound time.Duration, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

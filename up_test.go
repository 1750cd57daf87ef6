package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// spoken is what a program has said so far, to be waited for.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func listen() *spoken { return &spoken{more: make(chan struct{}, 1)} }

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// running is a killr started by a test.
type running struct {
	out, logs *spoken
	ended     chan struct{}
	status    int
	stop      func()
}

// start runs killr as a process of its own, as a user does.
func start(t *testing.T, args ...string) (*running, *exec.Cmd) {
	t.Helper()
	return startWith(t, nil, args...)
}

// startWith is start with more environment variables.
func startWith(t *testing.T, env []string, args ...string) (*running, *exec.Cmd) {
	t.Helper()
	r := &running{out: listen(), logs: listen(), ended: make(chan struct{})}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), env...)
	startCommand(t, r, cmd)
	return r, cmd
}

// wait runs a prepared killr to its end.
func wait(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{out: listen(), logs: listen(), ended: make(chan struct{})}
	startCommand(t, r, cmd)
	select {
	case <-r.ended:
	case <-time.After(5 * time.Minute):
		t.Errorf("it does not end: %s", r.logs)
	}
	return r
}

func startCommand(t *testing.T, r *running, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = r.out, r.logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := cmd.Wait()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			r.status = exit.ExitCode()
		}
		close(r.ended)
	}()
	r.stop = func() { _ = cmd.Process.Signal(syscall.SIGTERM) } // it may have ended
	t.Cleanup(func() { r.end(t) })
}

// small is an `up` that disturbs nobody.
func small(data string, more ...string) []string {
	return append([]string{"--data", data, "--log-format", "text", "up", "--addr", "127.0.0.1:0", "--nats-port", "0", "--memcached-memory", "64",
		"--users", "40", "--photos", "300"}, more...)
}

var siteAt = regexp.MustCompile(`Flickr Killr is at (http://[^ ]+)`)

// address waits for the one line that says where the site is.
func (r *running) address(t *testing.T) string {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		if m := siteAt.FindStringSubmatch(r.out.String()); m != nil {
			return m[1]
		}
		select {
		case <-r.out.more:
		case <-r.ended:
			t.Fatalf("up ended with status %d: %s", r.status, r.logs)
		case <-limit:
			t.Fatalf("no address after 2 minutes: %s", r.logs)
		}
	}
}

var debugAt = regexp.MustCompile(`debug listener" addr=(\S+)`)

func debugAddr(t *testing.T, r *running) string {
	t.Helper()
	m := debugAt.FindStringSubmatch(r.logs.String())
	if m == nil {
		t.Fatalf("no debug listener: %s", r.logs)
	}
	return m[1]
}

// end stops it and waits; safe to call twice.
func (r *running) end(t *testing.T) int {
	t.Helper()
	r.stop()
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		t.Fatalf("it does not end: %s", r.logs)
	}
	return r.status
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestUp(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	first, cmd := start(t, small(data, "--debug-addr", "127.0.0.1:0")...)
	home := first.address(t)
	status, body := get(t, home+"photos/ansel")
	if status != http.StatusOK || !strings.Contains(body, `<link rel="canonical" href="`+home+`photos/ansel">`) {
		t.Errorf("ansel's page: status %d\n%s", status, body)
	}

	t.Run("one debug listener tells of every role", func(t *testing.T) {
		_, metrics := get(t, "http://"+debugAddr(t, first)+"/metrics")
		for _, instance := range []string{"edge-1", "renderer-1", "renderer-2", "cachefill-1"} {
			if !strings.Contains(metrics, `instance="`+instance+`"`) {
				t.Errorf("/metrics has nothing of %s", instance)
			}
		}
	})

	t.Run("another up is told that the data is in use", func(t *testing.T) {
		other, _ := start(t, small(data)...)
		<-other.ended
		if other.status != 1 || !strings.Contains(other.logs.String(), "in use by another `up`") {
			t.Errorf("status %d: %s", other.status, other.logs)
		}
	})

	t.Run("a role in another terminal joins without a flag", func(t *testing.T) {
		role, _ := start(t, "--data", data, "--log-format", "text", "renderer", "--debug-addr", "127.0.0.1:0")
		for !strings.Contains(role.logs.String(), "msg=serving") {
			select {
			case <-role.logs.more:
			case <-role.ended:
				t.Fatalf("it ended with status %d: %s", role.status, role.logs)
			}
		}
		for limit := time.Now().Add(10 * time.Second); ; {
			status, body := get(t, "http://"+debugAddr(t, role)+"/readyz")
			if status == http.StatusOK {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("/readyz: %d %s", status, body)
			}
		}
		if status := role.end(t); status != 0 {
			t.Errorf("after SIGTERM it ended with status %d: %s", status, role.logs)
		}
	})

	t.Run("kill -9 and start again", func(t *testing.T) {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-first.ended
		second, _ := start(t, small(data)...)
		home := second.address(t)
		if status, _ := get(t, home+"photos/ansel"); status != http.StatusOK {
			t.Errorf("ansel's page: status %d", status)
		}
		if strings.Contains(second.logs.String(), "seeding") {
			t.Errorf("it seeded again: %s", second.logs)
		}
		if status := second.end(t); status != 0 {
			t.Errorf("after SIGTERM it ended with status %d: %s", status, second.logs)
		}
		if strings.Contains(second.logs.String(), "level=ERROR") {
			t.Errorf("errors were logged: %s", second.logs)
		}
	})

	if _, err := os.Stat(filepath.Join(data, "postgres", "cluster", "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("PostgreSQL did not end in order: %v", err)
	}
}

func TestUpInProcesses(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	other := listenAndCount(t) // where the shell's environment says that the services are
	r, _ := startWith(t, []string{"NATS_URL=nats://" + other.addr, "DATABASE_URL=postgres://a:b@" + other.addr + "/c", "MEMCACHED_SERVERS=" + other.addr,
		"KILLR_EDGE=http://" + other.addr, "PGHOST=127.0.0.1", "PGPORT=1"}, small(data, "--processes", "--edges", "2", "--renderers", "2")...)
	home := r.address(t)
	if status, _ := get(t, home); status != http.StatusOK {
		t.Errorf("home: status %d", status)
	}
	env, err := stack.ReadEnv(data)
	if err != nil {
		t.Fatal(err)
	}
	workers := func() map[string]bool { return pids(t, env, "renderer") }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	before := workers()
	for len(before) != 2 { // the first page needs only one of them
		if ctx.Err() != nil {
			t.Fatalf("%d renderers answer, want 2: %s", len(before), r.logs)
		}
		before = workers()
	}
	victim := 0
	for pid := range before {
		victim = number(t, pid)
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, home+"photos/ansel"); status != http.StatusOK {
		t.Errorf("with one renderer killed: status %d", status)
	}
	for {
		now := workers()
		if len(now) == 2 && !now[strconv.Itoa(victim)] {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the killed renderer did not come back: %s", r.logs)
		}
	}
	if n := other.calls.Load(); n != 0 {
		t.Errorf("%d connections reached the services of the shell's environment", n)
	}
	after := workers()
	if status := r.end(t); status != 0 {
		t.Errorf("after SIGTERM it ended with status %d: %s", status, r.logs)
	}
	for pid := range after {
		if err := syscall.Kill(number(t, pid), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("renderer %s outlived up: %v", pid, err)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pids asks the bus which processes offer a service: the metadata of each instance says so.
func pids(t *testing.T, env stack.Env, service string) map[string]bool {
	t.Helper()
	nc, err := nats.Connect(env.NATS)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("$SRV.INFO."+service, inbox, nil); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for {
		m, err := sub.NextMsg(300 * time.Millisecond) // silence is how a scatter ends
		if err != nil {
			return found
		}
		var info micro.Info
		if err := json.Unmarshal(m.Data, &info); err == nil {
			found[info.Metadata["pid"]] = true
		}
	}
}

func TestUpChecksOrigins(t *testing.T) {
	t.Parallel()
	c := &upCommand{Addr: "127.0.0.1:0", Edges: 1, edgeFlags: edgeFlags{Origin: []string{"photos.example"}}}
	if err := c.check(stack.Config{}); err == nil || !strings.Contains(err.Error(), `--origin: origin "photos.example"`) {
		t.Errorf("got %v", err)
	}
	c.Origin = []string{"https://photos.example", "http://127.0.0.1:8080"}
	if err := c.check(stack.Config{}); err != nil {
		t.Error(err)
	}
}

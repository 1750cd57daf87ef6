package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

// start runs killr as a process, as a user does.
func start(t *testing.T, args ...string) *testenv.Process {
	t.Helper()
	return testenv.StartProcess(t, nil, args...)
}

var debugAt = regexp.MustCompile(`debug listener" addr=(\S+)`)

// debugAddr waits for the line that says where the debug listener is.
func debugAddr(t *testing.T, p *testenv.Process) string {
	t.Helper()
	return debugAt.FindStringSubmatch(p.WaitLine(t, p.Stderr, `debug listener" addr=`))[1]
}

// A Ctrl-C while pictures are painted beside the running site ends `up` in order, and the next one goes on.
func TestUpGoesOnPainting(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	first := start(t, testenv.UpArgs(data)...)
	first.WaitLine(t, first.Stderr, `msg="painting large pictures"`)
	if status := first.Stop(t); status != 0 {
		t.Errorf("status %d: %s", status, first.Stderr)
	}
	dir := filepath.Join(data, "pictures")
	originals, err := filepath.Glob(filepath.Join(dir, "*", strings.Repeat("?", 26)))
	if err != nil {
		t.Fatal(err)
	}
	if len(originals) > 0 { // a picture may have been painted already; the second start must have one to paint
		if err := os.Remove(originals[0]); err != nil {
			t.Fatal(err)
		}
	}
	second := start(t, testenv.UpArgs(data)...)
	second.WaitLine(t, second.Stderr, `msg="all pictures are painted"`)
	if strings.Contains(second.Stderr.String(), "copying rows") {
		t.Error("the second start seeded again")
	}
	if status := second.Stop(t); status != 0 {
		t.Errorf("status %d: %s", status, second.Stderr)
	}
}

func TestUp(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	first := start(t, testenv.UpArgs(data, "--debug-addr", "127.0.0.1:0")...)
	home := testenv.SiteURL(t, first)
	first.WaitLine(t, first.Stdout, `Sign in as ansel with the password "`)
	status, body := testenv.Get(t, home+"photos/ansel")
	if status != http.StatusOK || !strings.Contains(body, `<link rel="canonical" href="`+home+`photos/ansel">`) {
		t.Errorf("ansel's page: status %d\n%s", status, body)
	}

	t.Run("one debug listener tells of every role", func(t *testing.T) {
		_, metrics := testenv.Get(t, "http://"+debugAddr(t, first)+"/metrics")
		for _, instance := range []string{"edge-1", "renderer-1", "renderer-2", "cachefill-1"} {
			if !strings.Contains(metrics, `instance="`+instance+`"`) {
				t.Errorf("/metrics has nothing of %s", instance)
			}
		}
	})

	t.Run("another up is told that the data is in use", func(t *testing.T) {
		addr := strings.TrimSuffix(strings.TrimPrefix(home, "http://"), "/") // is taken, too
		other := start(t, testenv.UpArgs(data, "--addr", addr)...)
		if status := other.WaitFor(t, 2*time.Minute); status != 1 ||
			!strings.Contains(other.Stderr.String(), "in use by another `up`") {
			t.Errorf("status %d: %s", status, other.Stderr)
		}
	})

	t.Run("a role in another terminal joins without a flag", func(t *testing.T) {
		role := start(t, "--data", data, "--log-format", "text", "renderer", "--debug-addr", "127.0.0.1:0")
		role.WaitLine(t, role.Stderr, "msg=serving")
		testenv.Within(t, 10*time.Second, "the renderer's /readyz says that it is ready", func() bool {
			status, _ := testenv.Get(t, "http://"+debugAddr(t, role)+"/readyz")
			return status == http.StatusOK
		})
		if status := role.Stop(t); status != 0 {
			t.Errorf("after SIGTERM it ended with status %d: %s", status, role.Stderr)
		}
	})

	t.Run("kill -9 and start again", func(t *testing.T) {
		first.Kill(t)
		second := start(t, testenv.UpArgs(data)...)
		home := testenv.SiteURL(t, second)
		if status, _ := testenv.Get(t, home+"photos/ansel"); status != http.StatusOK {
			t.Errorf("ansel's page: status %d", status)
		}
		if strings.Contains(second.Stderr.String(), string(seed.Copying)) {
			t.Errorf("it seeded again: %s", second.Stderr)
		}
		if status := second.Stop(t); status != 0 {
			t.Errorf("after SIGTERM it ended with status %d: %s", status, second.Stderr)
		}
		if strings.Contains(second.Stderr.String(), "level=ERROR") {
			t.Errorf("errors were logged: %s", second.Stderr)
		}
	})

	if _, err := os.Stat(filepath.Join(data, "postgres", "cluster", "postmaster.pid")); !errors.Is(
		err,
		os.ErrNotExist,
	) {
		t.Errorf("PostgreSQL did not end in order: %v", err)
	}
}

func TestUpInProcesses(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	other := listenAndCount(t) // where the shell's environment says that the services are
	r := testenv.StartProcess(
		t,
		[]string{
			"NATS_URL=nats://" + other.addr,
			"DATABASE_URL=postgres://a:b@" + other.addr + "/c",
			"MEMCACHED_SERVERS=" + other.addr,
			"KILLR_EDGE=http://" + other.addr,
			"PGHOST=127.0.0.1",
			"PGPORT=1",
		},
		testenv.UpArgs(data, "--processes", "--edges", "2", "--renderers", "2")...)
	home := testenv.SiteURL(t, r)
	if status, _ := testenv.Get(t, home); status != http.StatusOK {
		t.Errorf("home: status %d", status)
	}
	env, err := stack.ReadEnv(data)
	if err != nil {
		t.Fatal(err)
	}
	workers := func() map[string]bool { return pids(t, env, "renderer") }
	deadline := time.Now().Add(30 * time.Second)
	var before map[string]bool
	testenv.Within(t, time.Until(deadline), "two renderers answer, of which the first page needs one", func() bool {
		before = workers()
		return len(before) == 2
	})
	victim := 0
	for pid := range before {
		victim = number(t, pid)
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status, _ := testenv.Get(t, home+"photos/ansel"); status != http.StatusOK {
		t.Errorf("with one renderer killed: status %d", status)
	}
	testenv.Within(t, time.Until(deadline), "another renderer replaces the killed one", func() bool {
		now := workers()
		return len(now) == 2 && !now[strconv.Itoa(victim)]
	})
	if n := other.calls.Load(); n != 0 {
		t.Errorf("%d connections reached the services of the shell's environment", n)
	}
	after := workers()
	if status := r.Stop(t); status != 0 {
		t.Errorf("after SIGTERM it ended with status %d: %s", status, r.Stderr)
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
	nc, err := stack.Connect(env.Login(wire.RoleOperator), "test", nil)
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

// PostgreSQL has connections for renderers that join by hand, whatever their size, besides those that nobody but a
// superuser and psql gets.
func TestConnectionsForRenderersByHand(t *testing.T) {
	t.Parallel()
	for _, f := range []rendererFlags{{ActionWorkers: 4}, {PageWorkers: 100, SearchWorkers: 20, ActionWorkers: 50}} {
		for _, n := range []int{0, 2, 100} {
			c := &upCommand{Renderers: rendererRange{n, n}, rendererFlags: f}
			each := int(renderer.PoolConns(f.PageWorkers, f.ActionWorkers) + renderer.SearchConns(f.SearchWorkers))
			if got, want := c.connections(), each*(n+8)+10; got < want {
				t.Errorf("%d connections for %d renderers of %d, want %d", got, n, each, want)
			}
		}
	}
}

func TestUpChecksOrigins(t *testing.T) {
	t.Parallel()
	c := &upCommand{Addr: "127.0.0.1:0", Edges: 1, edgeFlags: edgeFlags{Origin: []string{"photos.example"}}}
	if err := c.check(stack.Config{}); err == nil ||
		!strings.Contains(err.Error(), `--origin: origin "photos.example"`) {
		t.Errorf("got %v", err)
	}
	c.Origin = []string{"https://photos.example", "http://127.0.0.1:8080"}
	if err := c.check(stack.Config{}); err != nil {
		t.Error(err)
	}
}

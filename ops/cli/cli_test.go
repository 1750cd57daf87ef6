package cli

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
)

// asProgram is the environment variable that turns this test program into killr itself, for roles that are processes. A
// process that hashes or decodes has no environment, so its argument does so.
const asProgram = "FLICKRKILLR_TEST_AS_PROGRAM"

// testVersion is the version of the program that these tests run.
const testVersion = "9.9.9-test"

func TestMain(m *testing.M) {
	works := len(os.Args) == 2 && (os.Args[1] == "hash" || os.Args[1] == "picture")
	if works || os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		status := Program{Version: testVersion, Stdout: os.Stdout, Stderr: os.Stderr}.Run(ctx, os.Args[1:])
		stop()
		os.Exit(status)
	}
	if err := os.Setenv(asProgram, "1"); err != nil { // for what the tests start
		panic(err)
	}
	testenv.Main(m)
}

// killr runs the program in this process.
func killr(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = Program{Version: testVersion, Stdout: &out, Stderr: &errs}.Run(ctx, args)
	return status, out.String(), errs.String()
}

func TestEveryFlagIsExplainedAndAnEnvironmentVariable(t *testing.T) {
	t.Parallel()
	var cli commands
	parser, err := kong.New(&cli, kong.Name("killr"), kong.DefaultEnvars("KILLR"), commandVars())
	if err != nil {
		t.Fatal(err)
	}
	plainName := regexp.MustCompile(`^(KILLR(_[A-Z][A-Z0-9]+)+|NATS_URL|DATABASE_URL|MEMCACHED_SERVERS)$`)
	// What decides where an audit writes, and what is broken.
	typed := map[string]bool{"audit --edge": true, "audit --metrics": true, "audit --yes": true, "chaos --edge": true,
		"chaos --yes": true, "login --insecure": true, "login --logout": true, "whoami --insecure": true,
		"upload --insecure": true, "import --insecure": true}
	for _, command := range []string{"deploy", "rollback", "add", "drain", "scale", "status"} {
		for _, flag := range []string{"site", "binary", "plan", "without"} { // which hosts are changed, and to what
			if command != "status" || flag == "site" || flag == "without" {
				typed[command+" --"+flag] = true
			}
		}
	}
	for _, command := range append(parser.Model.Leaves(false), parser.Model.Node) {
		for _, flag := range command.Flags {
			if flag.Name == "help" {
				continue
			}
			if flag.Help == "" {
				t.Errorf("%s --%s has no help", command.Name, flag.Name)
			}
			if (len(flag.Envs) == 0) != typed[command.Path()+" --"+flag.Name] {
				t.Errorf("%s --%s has the environment variables %q", command.Name, flag.Name, flag.Envs)
			}
			for _, name := range flag.Envs {
				if !plainName.MatchString(name) {
					t.Errorf("%s --%s is set by the ugly %s", command.Name, flag.Name, name)
				}
			}
		}
		if command.Type == kong.CommandNode {
			status, help, _ := killr(t.Context(), append(strings.Fields(command.Path()), "--help")...)
			if status != 0 || !strings.Contains(strings.Join(strings.Fields(help), " "), command.Help) {
				t.Errorf("%s --help: status %d\n%s", command.Name, status, help)
			}
		}
	}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel cases
	type mistake struct {
		args   []string
		status int
		says   string
	}
	all := []mistake{
		{[]string{"--nonsense"}, 2, "unknown flag --nonsense"},
		{[]string{"up", "--renderers", "many"}, 2, "--renderers"},
		{[]string{"--log-level", "loud", "version"}, 2, "--log-level"},
		{[]string{"frob"}, 2, "killr: there is no command frob (see killr --help)\n"},
		{nil, 2, "\n  cachefill      Run a cachefill"},
		{nil, 2, "\n  pictures copy  Copy all pictures"},
	}
	nobody := t.TempDir()
	t.Cleanup(func() { // nothing was started, and nothing made
		if left, err := os.ReadDir(nobody); err != nil || len(left) > 0 {
			t.Errorf("%v, %v", left, err)
		}
	})
	free, port, addr := "127.0.0.1:0", port(t, taken), taken.Addr().String()
	up := "up --addr " + free + " --nats-port 0"
	for _, c := range []struct {
		command string // after --data
		status  int
		says    string
	}{
		{"up --edges 0", 2, "--edges=0 is not allowed: at least 1"},
		{"up --edges 1000", 2, "at most 100"},
		{"bench --zipf NaN", 2, "--zipf=NaN is not allowed: at least 0"},
		{"up --photos -5", 2, "--photos=-5 is not allowed: at least 1 (see killr up --help)"},
		{"audit --fault frob", 2, `must be one of "kill a renderer",`},
		{"scale", 2, "<role=n>"},
		{"scale renderer=many", 2, "say renderer=6 (see killr scale --help)"},
		{"edge --addr nope", 2, "--addr nope is no address to listen on"},
		{"renderer --debug-addr nope", 2, "--debug-addr nope is no address to listen on"},
		{"up --addr nope", 2, "--addr: address nope"},
		{"login --edge nope", 2, "no address of an edge"},
		{"chaos --row frob", 2, `must be one of "a renderer is killed every 2 s",`},
		{"audit --metrics http://127.0.0.1:1/metrics", 2, "--edge"},
		{"warm", 1, "first, or say --nats\n"},
		{"migrate", 1, "first, or say --postgres\n"},
		{up + " --debug-addr " + addr, 1, "choose another port with --debug-addr"},
		{up + " --debug-addr " + before(t, addr) + " --processes", 1, "choose another port with --debug-addr"},
		{"up --addr " + free + " --nats-port " + port, 1, "choose another port with --nats-port"},
		{up + " --postgres-port " + port, 1, "choose another port with --postgres-port"},
		{up + " --memcached-port " + port, 1, "choose another port with --memcached-port"},
		{"up --addr 127.0.0.1:39997 --nats-port 39997", 1, "edge and NATS would both listen on 127.0.0.1:39997"},
		{"edge --addr " + addr, 1, "choose another port with --addr"},
		{"cachefill --nats nats://127.0.0.1:1 --debug-addr " + addr, 1, "choose another port with --debug-addr"},
		{"up --addr " + addr, 1, "choose another port with --addr"},
		{"edge --addr " + free, 1, "run `killr up` first"},
		{"renderer", 1, "run `killr up` first"},
		{"renderer --nats nats://127.0.0.1:1", 1, "--postgres"},
		{"cachefill --nats nats://127.0.0.1:1", 1, "--memcached"},
		{"migrate", 1, "run `killr up` first"},
		{"bench", 1, "run `killr up` first"},
		{"bench --edge http://127.0.0.1:1", 1, "--postgres"},
		{"bench --edge http://127.0.0.1:1 --urls " + os.DevNull + " --viewport wide", 2, "--viewport"},
		{"bench --edge http://127.0.0.1:1 --urls " + os.DevNull, 1, "no page"},
		{"edge --nats nats://127.0.0.1:1 --addr " + free + " --tls-cert x", 2, "belong together"},
	} {
		all = append(all, mistake{append([]string{"--data", nobody}, strings.Fields(c.command)...), c.status, c.says})
	}
	for _, c := range all {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			status, _, stderr := killr(ctx, c.args...)
			if status != c.status || !strings.Contains(stderr, c.says) {
				t.Errorf("status %d, said %q; want %d, and something with %q", status, stderr, c.status, c.says)
			}
		})
	}
}

// before is the address one port before.
func before(t *testing.T, addr string) string {
	t.Helper()
	at, err := site.NthAddr(addr, -1)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func port(t *testing.T, l net.Listener) string {
	t.Helper()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestNumbersHaveLimits: every number has a least value, and below it the command ends at once and names it.
func TestNumbersHaveLimits(t *testing.T) {
	t.Parallel()
	var cli commands
	parser, err := kong.New(&cli, kong.Name("killr"), kong.DefaultEnvars("KILLR"), commandVars())
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(true) {
		for _, flag := range command.Flags {
			low := "-1"
			switch flag.Target.Interface().(type) {
			case int, int64, float64, *float64:
			case time.Duration:
				low = "-1s"
			default:
				continue
			}
			if flag.Enum != "" { // a list of numbers
				continue
			}
			if !flag.Tag.Has("min") {
				t.Errorf("%s --%s has no tag min", command.Name, flag.Name)
				continue
			}
			args := []string{"--data", t.TempDir(), command.Name, "--" + flag.Name, low}
			for range command.Positional {
				args = append(args, t.TempDir())
			}
			status, _, stderr := killr(t.Context(), args...)
			if status != 2 || !strings.Contains(stderr, "at least "+flag.Tag.Get("min")+" ") {
				t.Errorf("%s --%s %s: status %d, %s", command.Name, flag.Name, low, status, stderr)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, argument := range []string{"version", "--version"} {
		status, stdout, _ := killr(t.Context(), argument)
		if status != 0 || !strings.HasPrefix(stdout, "killr "+testVersion+"+") {
			t.Errorf("%s: status %d, said %q", argument, status, stdout)
		}
	}
}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"json": `{"time":`, "text": "time=", "auto": "time=", "pretty": "INF hello",
	} {
		var out bytes.Buffer
		log, _, err := newLogger(&out, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("not this")
		log.Info("hello", "who", "you")
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "not this") {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}

// TestEdgeDrain: as a service an edge gives load balancers time to leave; a site on one machine stops at once.
func TestEdgeDrain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args     []string
		edge, up time.Duration
	}{
		{[]string{"edge"}, 5 * time.Second, 0},
		{[]string{"up"}, 0, 0},
		{[]string{"edge", "--edge-drain", "7s"}, 7 * time.Second, 0},
		{[]string{"up", "--edge-drain", "7s"}, 0, 7 * time.Second},
	} {
		var cli commands
		parser, err := kong.New(&cli, kong.Name("killr"), commandVars())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if c.args[0] == "edge" && cli.Edge.Drain != c.edge || c.args[0] == "up" && cli.Up.EdgeDrain != c.up {
			t.Errorf("%q: an edge drains for %v or %v, want %v or %v", c.args, cli.Edge.Drain, cli.Up.EdgeDrain, c.edge,
				c.up)
		}
	}
}

func TestFlagsReachRolesInOtherProcesses(t *testing.T) {
	t.Parallel()
	var cli commands
	parser, err := kong.New(&cli, kong.DefaultEnvars("KILLR"), commandVars())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(
		[]string{"--log-level", "debug", "up", "--page-workers", "7", "--edge-stop", "3s", "--processes"},
	)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(flagEnv(parsed.Flags()), " ")
	for _, want := range []string{
		"KILLR_LOG_LEVEL=debug", "KILLR_PAGE_WORKERS=7", "KILLR_EDGE_STOP=3s", "KILLR_PROCESSES=true",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q has no %s", got, want)
		}
	}
}

// A seeding may make fewer rows than it thought, and may fail half-way; the terminal must be given back all the same.
func TestProgressEnds(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"done": nil, "failed": errors.New("disk full")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := testenv.NewOutput()
			p := newProgress(shown, slog.New(slog.DiscardHandler))
			p.draw(shown)
			for _, at := range []seed.Progress{
				{Stage: seed.Painting, Total: 12}, {Stage: seed.Painting, Done: 12, Total: 12},
				{Stage: seed.Copying, Total: 100}, {Stage: seed.Copying, Done: 91, Total: 100},
				{Stage: seed.Indexing, Total: 1},
			} {
				p.report(at)
			}
			p.end(err)
			if said := shown.String(); !strings.Contains(said, string(seed.Copying)) {
				t.Errorf("it showed %q", said)
			}
		})
	}
}

// TestProgressInTheLog: the log has the first and the last state of each stage.
func TestProgressInTheLog(t *testing.T) {
	t.Parallel()
	shown := testenv.NewOutput()
	p := &progress{log: slog.New(slog.NewTextHandler(shown, nil))}
	for done := range int64(4) {
		p.report(seed.Progress{Stage: seed.Copying, Done: done, Total: 3})
	}
	for done := range int64(3) {
		p.report(seed.Progress{Stage: seed.Indexing, Done: done, Total: 2})
	}
	p.end(nil)
	var got []string
	for line := range strings.Lines(shown.String()) {
		_, state, _ := strings.Cut(line, "msg=")
		got = append(got, strings.TrimSpace(state))
	}
	want := []string{
		`"copying rows" done=0 of=3`, `"copying rows" done=3 of=3`,
		`"building indexes" done=0 of=2`, `"building indexes" done=2 of=2`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

func TestBenchProgress(t *testing.T) {
	t.Parallel()
	shown := testenv.NewOutput()
	p := newBenchProgress(shown, slog.New(slog.DiscardHandler))
	p.draw(shown)
	p.report(bench.Progress{Warming: true, Elapsed: time.Second, Total: 2 * time.Second})
	p.report(
		bench.Progress{
			Elapsed:  time.Second,
			Total:    30 * time.Second,
			Pages:    1234,
			P99:      5678 * time.Microsecond,
			Failures: 3,
		},
	)
	p.end()
	if said := shown.String(); !strings.Contains(said, "1234 pages/s") ||
		!strings.Contains(said, "p99 5.68ms, 3 failed") {
		t.Errorf("it showed %q", said)
	}

	logged := testenv.NewOutput()
	p = newBenchProgress(logged, slog.New(slog.NewTextHandler(logged, nil)))
	p.report(bench.Progress{Elapsed: time.Second, Total: 30 * time.Second}) // too soon
	p.logged = p.logged.Add(-time.Minute)
	p.report(bench.Progress{Elapsed: 6 * time.Second, Total: 30 * time.Second, Pages: 1234})
	p.end()
	if said := logged.String(); strings.Count(said, "\n") != 1 ||
		!strings.Contains(said, "elapsed=6s of=30s pages_per_second=1234") {
		t.Errorf("it logged %q", said)
	}
}

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/testenv"
)

// closedPort is an address on which nobody listens: it was free a moment ago.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// says waits until a program has logged all words in one line.
func (r *running) says(t *testing.T, words ...string) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		for line := range strings.Lines(r.logs.String()) {
			all := true
			for _, word := range words {
				all = all && strings.Contains(line, word)
			}
			if all {
				return
			}
		}
		select {
		case <-r.logs.more:
		case <-r.ended:
			t.Fatalf("it ended with status %d, without %q: %s", r.status, words, r.logs)
		case <-limit:
			t.Fatalf("no line with %q: %s", words, r.logs)
		}
	}
}

// TestRolesSayWhatTheyWaitFor, and end with status 0 at a Ctrl-C all the same.
func TestRolesSayWhatTheyWaitFor(t *testing.T) {
	t.Parallel()
	away, bus := closedPort(t), testenv.NATS(t)
	nats, database := "nats://joe:secret@"+away, "postgres://killr:secret@"+away+"/killr"
	memcached := testenv.Memcached(t)
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"edge without NATS":          {[]string{"edge", "--addr", "127.0.0.1:0", "--nats", nats}, []string{"role=edge", "NATS at nats://joe:xxxxx@" + away, "refused"}},
		"renderer without NATS":      {[]string{"renderer", "--nats", nats, "--postgres", database}, []string{"role=renderer", "NATS at nats://joe:xxxxx@" + away, "refused"}},
		"cachefill without NATS":     {[]string{"cachefill", "--nats", nats, "--memcached", memcached}, []string{"role=cachefill", "NATS at nats://joe:xxxxx@" + away, "refused"}},
		"renderer without database":  {[]string{"renderer", "--nats", bus, "--postgres", database}, []string{"role=renderer", "waiting for PostgreSQL at " + away, "refused"}},
		"cachefill without renderer": {[]string{"cachefill", "--nats", bus, "--memcached", memcached}, []string{"role=cachefill", "list of assets", "no responders"}},
		"edge without renderer":      {[]string{"edge", "--addr", "127.0.0.1:0", "--nats", bus}, []string{"role=edge", "a renderer creates it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, cmd := start(t, append([]string{"--data", t.TempDir(), "--log-format", "text"}, c.args...)...)
			r.says(t, append(c.words, "not ready; trying again")...)
			if strings.Contains(r.logs.String(), "secret") {
				t.Errorf("it tells the password: %s", r.logs)
			}
			interrupt(t, r, cmd)
		})
	}
}

// interrupt is a Ctrl-C in the program's terminal.
func interrupt(t *testing.T, r *running, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		t.Fatalf("it does not end: %s", r.logs)
	}
	if r.status != 0 {
		t.Errorf("after Ctrl-C it ended with status %d: %s", r.status, r.logs)
	}
}

// TestRendererEndsWithAWrongDatabase: what no waiting can mend ends it, with a message that names everything but the password.
func TestRendererEndsWithAWrongDatabase(t *testing.T) {
	t.Parallel()
	bus, database := testenv.NATS(t), testenv.DatabaseURL(t)
	c, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%s:%d", c.Host, c.Port)
	for name, w := range map[string]struct{ url, says string }{
		"password": {fmt.Sprintf("postgres://%s:wrongsecret@%s/%s", c.User, at, c.Database), "password authentication failed"},
		"user":     {fmt.Sprintf("postgres://nobody:wrongsecret@%s/%s", at, c.Database), `user "nobody"`},
		"database": {fmt.Sprintf("postgres://%s:%s@%s/missing", c.User, c.Password, at), `database "missing" does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := wait(t, exec.Command(os.Args[0], "--data", t.TempDir(), "--log-format", "text", "renderer", "--nats", bus, "--postgres", w.url))
			if said := r.logs.String(); r.status != 1 || !strings.Contains(said, w.says) || !strings.Contains(said, "correct --postgres or DATABASE_URL") ||
				strings.Contains(said, "wrongsecret") || strings.Contains(said, c.Password) {
				t.Errorf("status %d: %s", r.status, said)
			}
		})
	}
}

// TestCtrlCOfARole: a Ctrl-C in the terminal of a role that serves ends it with status 0, also when NATS has gone before.
func TestCtrlCOfARole(t *testing.T) {
	t.Parallel()
	server, memcached := testenv.NATSServer(t), testenv.Memcached(t)
	args := func(command string, more ...string) []string {
		return append([]string{"--data", t.TempDir(), "--log-format", "text", command, "--nats", server.URL(), "--memcached", memcached}, more...)
	}
	database := testenv.DatabaseURL(t)
	type process struct {
		*running
		cmd *exec.Cmd
	}
	begin := func() (all []process) {
		for _, a := range [][]string{args("renderer", "--postgres", database), args("cachefill"), args("edge", "--addr", "127.0.0.1:0")} {
			r, cmd := start(t, a...)
			all = append(all, process{r, cmd})
		}
		all[0].says(t, "msg=serving")
		all[1].says(t, "assets warm")
		all[2].says(t, "copies are trusted", "trusted=true")
		return all
	}
	for _, p := range begin() {
		interrupt(t, p.running, p.cmd)
	}
	left := begin()
	server.Stop()
	for _, p := range left {
		p.says(t, "bus lost")
		interrupt(t, p.running, p.cmd)
	}
}

// TestSecondCtrlC ends a role at once that waits for its visitors.
func TestSecondCtrlC(t *testing.T) {
	t.Parallel()
	data := testenv.DataDir(t)
	r, cmd := start(t, small(data, "--processes", "--edge-stop", "1h")...)
	home := r.address(t)
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(home, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")); err != nil { // a request that does not end
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r.says(t, "msg=stopping")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		t.Fatalf("it does not end: %s", r.logs)
	}
	if r.status != 130 {
		t.Errorf("status %d: %s", r.status, r.logs)
	}
}

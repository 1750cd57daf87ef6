package cli

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
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
		"edge without NATS": {
			[]string{"edge", "--addr", "127.0.0.1:0", "--nats", nats},
			[]string{"role=edge", "NATS at nats://joe:xxxxx@" + away, "refused"},
		},
		"renderer without NATS": {
			[]string{"renderer", "--nats", nats, "--postgres", database},
			[]string{"role=renderer", "NATS at nats://joe:xxxxx@" + away, "refused"},
		},
		"cachefill without NATS": {
			[]string{"cachefill", "--nats", nats, "--memcached", memcached},
			[]string{"role=cachefill", "NATS at nats://joe:xxxxx@" + away, "refused"},
		},
		"renderer without database": {
			append([]string{"renderer", "--postgres", database}, testenv.NATSFlags(t, bus, wire.RoleRenderer)...),
			[]string{"role=renderer", "waiting for PostgreSQL at " + away, "refused"},
		},
		"cachefill without renderer": {
			append([]string{"cachefill", "--memcached", memcached}, testenv.NATSFlags(t, bus, wire.RoleCachefill)...),
			[]string{"role=cachefill", "list of assets", "no responders"},
		},
		"edge without renderer": {
			append([]string{"edge", "--addr", "127.0.0.1:0"}, testenv.NATSFlags(t, bus, wire.RoleEdge)...),
			[]string{"role=edge", "a renderer creates it"},
		},
		"edge without a seed": {
			[]string{"edge", "--addr", "127.0.0.1:0", "--nats", bus},
			[]string{"role=edge", bus + " asks who signs in: say --nats-seed", "seed of the role edge"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, append([]string{"--data", t.TempDir(), "--log-format", "text"}, c.args...)...)
			r.WaitLine(t, r.Stderr, append(c.words, "not ready; trying again")...)
			if strings.Contains(r.Stderr.String(), "secret") {
				t.Errorf("it tells the password: %s", r.Stderr)
			}
			interrupt(t, r)
		})
	}
}

// interrupt is a Ctrl-C in the program's terminal.
func interrupt(t *testing.T, p *testenv.Process) {
	t.Helper()
	p.Signal(t, os.Interrupt)
	if status := p.Wait(t); status != 0 {
		t.Errorf("after Ctrl-C it ended with status %d: %s", status, p.Stderr)
	}
}

// TestRendererEndsWithAWrongDatabase: what no waiting can mend ends it, with a message that names everything but the
// password.
func TestRendererEndsWithAWrongDatabase(t *testing.T) {
	t.Parallel()
	bus, database := testenv.NATS(t), testenv.DatabaseURL(t)
	c, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%s:%d", c.Host, c.Port)
	for name, w := range map[string]struct{ url, says string }{
		"password": {
			fmt.Sprintf("postgres://%s:wrongsecret@%s/%s", c.User, at, c.Database),
			"password authentication failed",
		},
		"user": {fmt.Sprintf("postgres://nobody:wrongsecret@%s/%s", at, c.Database), `user "nobody"`},
		"database": {
			fmt.Sprintf("postgres://%s:%s@%s/missing", c.User, c.Password, at),
			`database "missing" does not exist`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, "--data", t.TempDir(), "--log-format", "text", "renderer", "--nats", bus,
				"--nats-seed", testenv.Seeds(t)[wire.RoleRenderer], "--postgres", w.url)
			status := r.WaitFor(t, 5*time.Minute)
			if said := r.Stderr.String(); status != 1 || !strings.Contains(said, w.says) ||
				!strings.Contains(said, "correct --postgres or DATABASE_URL") ||
				strings.Contains(said, "wrongsecret") ||
				strings.Contains(said, c.Password) {
				t.Errorf("status %d: %s", status, said)
			}
		})
	}
}

// TestRendererDoesNotJoinAnotherSite: a shell that has read another site's stack.env gives a renderer the wrong bus.
func TestRendererDoesNotJoinAnotherSite(t *testing.T) {
	t.Parallel()
	bus, theirs, ours := testenv.NATS(t), testenv.DatabaseURL(t), testenv.DatabaseURL(t)
	if _, err := testenv.Pool(t, ours).Exec(t.Context(), "UPDATE site SET id = gen_random_uuid()"); err != nil {
		t.Fatal(err)
	}
	begin := func(database string) *testenv.Process {
		return start(
			t, "--data", t.TempDir(), "--log-format", "text", "renderer", "--nats", bus, "--postgres", database,
			"--nats-seed", testenv.Seeds(t)[wire.RoleRenderer],
		)
	}
	first := begin(theirs)
	first.WaitLine(t, first.Stderr, "msg=serving")
	second := begin(ours)
	status := second.WaitFor(t, 5*time.Minute)
	said := second.Stderr.String()
	if status != 1 || strings.Contains(said, "msg=serving") {
		t.Errorf("status %d: %s", status, said)
	}
	for _, words := range []string{
		bus + " belongs to site ", "correct --nats (NATS_URL)",
		"renderer.nk --inbox-prefix _INBOX_renderer stream rm CHANGES",
	} {
		if !strings.Contains(said, words) {
			t.Errorf("it says nothing of %q: %s", words, said)
		}
	}
	third := begin(theirs)
	third.WaitLine(t, third.Stderr, "msg=serving")
}

// TestCtrlCOfARole: a Ctrl-C in the terminal of a role that serves ends it with status 0, also when NATS has gone
// before.
func TestCtrlCOfARole(t *testing.T) {
	t.Parallel()
	server, memcached := testenv.NATSServer(t), testenv.Memcached(t)
	args := func(command string, more ...string) []string {
		return append([]string{
			"--data", t.TempDir(), "--log-format", "text", command, "--nats", server.URL(), "--memcached", memcached,
			"--nats-seed", testenv.Seeds(t)[wire.Role(command)],
		}, more...)
	}
	database := testenv.DatabaseURL(t)
	begin := func() (all []*testenv.Process) {
		for _, a := range [][]string{
			args("renderer", "--postgres", database), args("cachefill"), args("edge", "--addr", "127.0.0.1:0"),
		} {
			all = append(all, start(t, a...))
		}
		all[0].WaitLine(t, all[0].Stderr, "msg=serving")
		all[1].WaitLine(t, all[1].Stderr, "assets warm")
		all[2].WaitLine(t, all[2].Stderr, "the feed of changes is current")
		return all
	}
	for _, p := range begin() {
		interrupt(t, p)
	}
	left := begin()
	server.Stop()
	for _, p := range left {
		p.WaitLine(t, p.Stderr, "bus lost")
		interrupt(t, p)
	}
}

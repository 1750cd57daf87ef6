//go:build linux

package deploy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/lab/mutant"
	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// operator is the machine that deploys, with a fleet of hosts and services that the hosts reach.
type operator struct {
	fleet    *fleet.Fleet
	program  string // release 1
	dir      string
	database string // as this process reaches it
	own      string // the database of the hosts' PostgreSQL, see moveDatabase
	hosts    []*fleet.Machine
	client   *http.Client
}

// people is how many users have a page.
const people = 5000

const siteStart = `[services]
postgres = %q
memcached-memory = 64
pictures = "/var/lib/killr/pictures"

[counts]
renderer = 2

[[host]]
name = "m1"
roles = ["edge", "renderer", "cachefill"]

[[host]]
name = "m2"
address = "10.77.0.2"
roles = ["edge", "renderer", "nats", "memcached"]
`

const thirdHost = `
[[host]]
name = "m3"
roles = ["edge", "renderer"]
`

// newOperator boots three machines. Two of them are in site.toml.
func newOperator(t testing.TB) *operator {
	t.Helper()
	return newOperatorOf(t, 3)
}

// newOperatorOf boots a number of machines. m1 and m2 are in site.toml.
func newOperatorOf(t testing.TB, machines int) *operator {
	t.Helper()
	o := &operator{dir: t.TempDir(), database: testenv.EmptyDatabaseURL(t)}
	o.build(t)
	var err error
	if o.fleet, err = fleet.Start(t.Context(), machines); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range o.hosts {
				t.Logf("the end of %s's log:\n%s", m.Name, o.on(m, "journalctl -n 40 --no-pager -o short-precise"))
			}
		}
		if err := o.fleet.Stop(); err != nil {
			t.Error(err)
		}
	})
	o.hosts = o.fleet.Machines
	hostPort := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	o.expose(t, "10.77.0.254:5432", hostPort(o.database))
	o.client = &http.Client{Timeout: 20 * time.Second, CheckRedirect: testenv.NoRedirects,
		Transport: &http.Transport{DialContext: o.fleet.Dial, MaxIdleConnsPerHost: 50}}
	t.Cleanup(o.client.CloseIdleConnections)
	text := fmt.Sprintf(siteStart, strings.Replace(o.database, hostPort(o.database), "10.77.0.254:5432", 1))
	if err := os.WriteFile(o.site(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *operator) site() string { return filepath.Join(o.dir, "site.toml") }

// expose lets machines reach a service of this computer.
func (o *operator) expose(t testing.TB, address, service string) {
	t.Helper()
	stop, err := o.fleet.Expose(address, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

// killr runs a command of this program on the fleet's network. It returns what it printed.
func (o *operator) killr(t testing.TB, binary string, args ...string) (string, error) {
	t.Helper()
	began := time.Now()
	args = append(append([]string{}, args...), "--site", o.site())
	if args[0] != "status" {
		args = append([]string{args[0], "--watch", "700ms", "--binary", binary}, args[1:]...) // the last one counts
	}
	out, err := o.command(t, args...).CombinedOutput()
	t.Logf("killr %s, %.1f s: %v\n%s", strings.Join(args, " "), time.Since(began).Seconds(), err, out)
	return string(out), err
}

// command is a command of this program on the fleet's network. What it leaves behind when it is killed goes with the
// test.
func (o *operator) command(t testing.TB, args ...string) *exec.Cmd {
	return o.fleet.Command(t.Context(), "env", append([]string{"TMPDIR=" + o.dir, o.program}, args...)...)
}

// must is killr for a command that has to succeed.
func (o *operator) must(t testing.TB, binary string, args ...string) string {
	t.Helper()
	out, err := o.killr(t, binary, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (o *operator) on(m *fleet.Machine, command string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := m.Run(ctx, command)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out)
}

// runs lists what a host runs, as "renderer abcd" with the release.
func (o *operator) runs(m *fleet.Machine) []string {
	const list = `for pid in $(systemctl show -p MainPID --value 'killr-*@*.service'); do
		if [ "$pid" = 0 ]; then continue; fi
		echo "$(tr '\0' ' ' </proc/$pid/cmdline | cut -d ' ' -f 2) $(readlink /proc/$pid/exe)"
	done | sed 's#/opt/killr/releases/##; s#/killr$##' | sort`
	return strings.Fields(strings.ReplaceAll(o.on(m, list), " ", ":"))
}

// visits are requests at a steady rate, for pages that are in no cache.
type visits struct {
	stop   context.CancelFunc
	ended  sync.WaitGroup
	mu     sync.Mutex
	took   []time.Duration
	failed []string
}

// visit begins to visit pages of people, at hosts in turn. When a quarter of a second's requests wait for an answer it
// makes no further one: a machine that is slow for other reasons is not made slower.
func (o *operator) visit(t testing.TB, perSecond int, hosts ...*fleet.Machine) *visits {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	v := &visits{stop: cancel}
	v.ended.Go(func() {
		every := time.NewTicker(time.Second / time.Duration(perSecond))
		defer every.Stop()
		places := make(chan struct{}, max(1, perSecond/4))
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			select {
			case places <- struct{}{}:
			default:
				continue
			}
			v.ended.Go(func() {
				defer func() { <-places }()
				address := fmt.Sprintf("http://%s/photos/u%d", hosts[n%len(hosts)].Address, n%people)
				began := time.Now()
				status, _, body, err := testenv.Fetch(context.WithoutCancel(ctx), o.client, address)
				v.mu.Lock()
				defer v.mu.Unlock()
				v.took = append(v.took, time.Since(began))
				if err != nil || status != http.StatusOK {
					v.failed = append(v.failed, fmt.Sprintf("%s: %d %v %.200s", address, status, err, body))
				}
			})
		}
	})
	t.Cleanup(v.end)
	return v
}

func (v *visits) end() {
	v.stop()
	v.ended.Wait()
}

// TestDeploy brings a site to machines and changes it in each way that there is a command for.
func TestDeploy(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	m1, m2, m3 := o.hosts[0], o.hosts[1], o.hosts[2]
	second, third := o.release(t, "second"), o.release(t, "third")

	if out := o.must(t, o.program, "deploy", "--plan"); !strings.Contains(out, "start killr-edge@a.service") {
		t.Error("the plan has no edge")
	}
	if got := o.on(m1, "ls /opt/killr 2>&1"); !strings.Contains(got, "exit status 2") {
		t.Errorf("a plan changed a host: %s", got)
	}
	o.must(t, o.program, "deploy")
	o.populate(t)
	for _, m := range o.hosts[:2] {
		status, _, body, err := testenv.Fetch(t.Context(), o.client, "http://"+m.Address+"/photos/u1")
		if err != nil || status != http.StatusOK || !strings.Contains(body, "U 1") {
			t.Fatalf("%s: %d %v %s", m.Name, status, err, body)
		}
	}
	if out := o.must(t, o.program, "deploy"); out != "nothing to do\n" {
		t.Errorf("a second deployment of the same did something")
	}

	if out := o.withoutSeeds(t, "deploy", "--plan"); !strings.Contains(out, "copy that directory from the machine") {
		t.Error("another machine would give roles other seeds than the bus knows")
	}
	if out := o.withoutSeeds(t, "status"); !strings.Contains(out, "killr-nats.service") {
		t.Error("another machine cannot see what hosts run")
	}

	t.Run("upgrade", func(t *testing.T) {
		visits := o.visit(t, 40, m1, m2)
		o.must(t, second, "deploy")
		visits.end()
		if len(visits.failed) > 0 {
			t.Errorf("%d of %d requests failed: %s", len(visits.failed), len(visits.took), visits.failed[0])
		}
		o.all(t, second, m1, m2)
	})

	t.Run("a release that answers errors", func(t *testing.T) {
		visits := o.visit(t, 40, m1, m2)
		out, err := o.killr(t, o.renderersThat(t, second, fmt.Sprintf("export %q", mutant.Choose(mistake))), "deploy",
			"--watch", "3s") // until it has failed more than a few
		visits.end()
		if err == nil || !strings.Contains(out, "the release was taken back: m1: killr-renderer@") {
			t.Error("a release that answers errors was not taken back")
		}
		if n := strings.Count(out, "start killr-renderer"); n != 0 {
			t.Errorf("%d instances of it were started one after the other", n+1)
		}
		o.all(t, second, m1, m2)
	})

	t.Run("a release that does not start", func(t *testing.T) {
		visits := o.visit(t, 40, m1, m2)
		out, err := o.killr(t, o.renderersThat(t, second, "echo no renderer today >&2; exit 1"), "deploy")
		visits.end()
		if err == nil || !strings.Contains(out, "did not become ready") || !strings.Contains(out, "no renderer today") {
			t.Error("a release that does not start was not taken back, or its log is missing")
		}
		if len(visits.failed) > 0 {
			t.Errorf("%d of %d requests failed: %s", len(visits.failed), len(visits.took), visits.failed[0])
		}
		o.all(t, second, m1, m2)
	})

	t.Run("killed and run again", func(t *testing.T) {
		o.killed(t, third)
		o.must(t, third, "deploy")
		o.all(t, third, m1, m2)
	})

	t.Run("rollback", func(t *testing.T) {
		o.must(t, third, "rollback")
		o.all(t, second, m1, m2)
	})

	t.Run("scale", func(t *testing.T) {
		o.must(t, third, "scale", "renderer=3")
		if text, _ := os.ReadFile(o.site()); !strings.Contains(string(text), "renderer = 3\n") {
			t.Errorf("site.toml: %s", text)
		}
		if n := len(o.runs(m1)) + len(o.runs(m2)); n != 6 {
			t.Errorf("%d instances, want 6: %v %v", n, o.runs(m1), o.runs(m2))
		}
		o.must(t, third, "scale", "renderer=2")
	})

	t.Run("add", func(t *testing.T) {
		text, err := os.ReadFile(o.site())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(o.site(), append(text, thirdHost...), 0o600); err != nil {
			t.Fatal(err)
		}
		o.must(t, third, "scale", "renderer=3")
		o.must(t, third, "add", "m3")
		if status, _, body, err := testenv.Fetch(t.Context(), o.client, "http://10.77.0.3/photos/u2"); err != nil ||
			status != http.StatusOK {
			t.Errorf("m3: %d %v %s", status, err, body)
		}
		o.all(t, second, m3)
	})

	t.Run("drain", func(t *testing.T) {
		visits := o.visit(t, 40, m2, m3)
		o.must(t, third, "drain", "m1")
		visits.end()
		if len(visits.failed) > 0 {
			t.Errorf("%d of %d requests failed: %s", len(visits.failed), len(visits.took), visits.failed[0])
		}
		if got := o.runs(m1); len(got) > 0 {
			t.Errorf("m1 still runs %v", got)
		}
		if conn, err := o.fleet.Dial(t.Context(), "tcp", "10.77.0.1:80"); err == nil {
			_ = conn.Close()
			t.Error("m1 still takes visitors")
		}
		if out := o.must(t, third, "status"); !strings.Contains(out, "drained") {
			t.Error("status does not say so")
		}
		o.must(t, third, "add", "m1")
		o.all(t, second, m1)
	})
}

//go:build linux

package deploy

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// voter is the etcd of a host, which runs here.
type voter struct {
	dir   string
	env   []string
	etcd  *stack.Child
	said  *bytes.Buffer // valid when it has ended
	ended bool
}

// newVoter writes what a host's etcd reads.
func newVoter(t *testing.T, s *Site, host string) *voter {
	t.Helper()
	v := &voter{dir: t.TempDir()}
	files := configs(t, s)[host].files
	for _, name := range []string{"ca", "cert", "key"} {
		content := files[credentialsDir+"/etcd/"+name].content
		if err := os.WriteFile(filepath.Join(v.dir, "killr_"+name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v.env = append(os.Environ(), "CREDENTIALS_DIRECTORY="+v.dir)
	lines := bufio.NewScanner(bytes.NewReader(files[envDir+"/etcd.env"].content))
	for lines.Scan() {
		name, quoted, _ := strings.Cut(lines.Text(), "=")
		value, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(value, ":"+etcdPeerPort) { // voters come from 127.0.0.1 here, which is in no certificate
			value = strings.ReplaceAll(value, "https:", "http:")
		}
		v.env = append(v.env, name+"="+value)
	}
	t.Cleanup(func() {
		v.end()
		if t.Failed() {
			t.Logf("etcd of %s: %s", host, v.said)
		}
	})
	return v
}

// script is etcd.sh with the paths of this one.
func (v *voter) script(t *testing.T) string {
	t.Helper()
	return service(t, "etcd.sh", "/var/lib/killr-etcd", filepath.Join(v.dir, "data"),
		"/run/killr-etcd.service.told", filepath.Join(v.dir, "told"),
		"/etc/killr/credentials/etcd/", filepath.Join(v.dir, "killr_"))
}

// begin starts it.
func (v *voter) begin(t *testing.T) {
	t.Helper()
	data := filepath.Join(v.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	v.said, v.ended = &bytes.Buffer{}, false
	cmd := exec.Command("bash", "-c", v.script(t), "killr", "run")
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = v.env, v.said, v.said, time.Second
	var err error
	if v.etcd, err = stack.StartChild(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// votes waits until it runs and has a vote.
func (v *voter) votes(t *testing.T) {
	t.Helper()
	testenv.Within(t, time.Minute, "etcd runs", func() bool { return v.ask(t, "endpoint status") != "" })
	if out, err := run(t, v.script(t), v.dir, v.env, "vote"); err != nil {
		t.Fatalf("it has no vote: %v: %s", err, out)
	}
}

// end kills it.
func (v *voter) end() {
	if v.etcd == nil || v.ended {
		return
	}
	_ = v.etcd.Signal(syscall.SIGKILL)
	<-v.etcd.Done()
	v.ended = true
}

// list lists the voters as this one knows them, "" while it does not serve.
func (v *voter) list(t *testing.T) string {
	t.Helper()
	return v.ask(t, "get / >/dev/null && ask member list")
}

// ask has etcdctl ask this one; "": it does not say, or nothing.
func (v *voter) ask(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", `ask() {
		etcdctl --endpoints "$CLIENT" --command-timeout=2s --cacert $CREDENTIALS_DIRECTORY/killr_ca \
			--cert $CREDENTIALS_DIRECTORY/killr_cert --key $CREDENTIALS_DIRECTORY/killr_key "$@"
	}
	ask `+command)
	cmd.Env = append(v.env, "ETCDCTL_API=3")
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// serves waits until it has a number of voters that all run. It returns them.
func (v *voter) serves(t *testing.T, voters int) (list string) {
	t.Helper()
	testenv.Within(t, 2*time.Minute, fmt.Sprintf("etcd serves with %d voters", voters), func() bool {
		select {
		case <-v.etcd.Done():
			t.Fatalf("etcd ended: %v: %s", v.etcd.Err(), v.said)
		default:
		}
		list = v.list(t)
		return strings.Count(list, "\n") == voters && strings.Count(list, ", started, ") == voters
	})
	return list
}

// TestVoters: one voter becomes three, though the second does not begin at first, and the third comes just after it.
// One whose disk is lost comes again, and one that was removed does when a deployment starts it.
func TestVoters(t *testing.T) {
	t.Parallel()
	network := fmt.Sprintf("127.78.%d.", os.Getpid()%250+1)
	alone := parseDatabase(t, "10.0.0.2\"\nroles = [\"edge\", \"renderer\", \"etcd\"", network+"2\"\nroles = [\"edge\"",
		"10.0.0.", network, `["etcd"]`, `["edge"]`)
	three := parseDatabase(t, "10.0.0.", network)
	m1, m2, m3 := newVoter(t, alone, "m1"), newVoter(t, three, "m2"), newVoter(t, three, "m3")
	m1.begin(t)
	m1.serves(t, 1)
	if err := os.Mkdir(filepath.Join(m2.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	broken := programs(t, map[string]string{"etcd": "exit 1"})
	if out, err := run(t, m2.script(t), "", append(m2.env, "PATH="+broken+":"+os.Getenv("PATH")), "run"); err == nil ||
		!strings.Contains(m1.list(t), "unstarted") {
		t.Fatalf("while m2 does not begin, m1 does not serve, or does not know m2: %v: %s", err, out)
	}
	m2.begin(t)
	m2.votes(t)
	m2.serves(t, 2)
	m3.begin(t)
	m3.votes(t)
	was := m3.serves(t, 3)
	m3.end()
	if err := os.RemoveAll(filepath.Join(m3.dir, "data")); err != nil {
		t.Fatal(err)
	}
	m3.begin(t)
	m3.votes(t)
	now := m3.serves(t, 3)
	if now == was {
		t.Errorf("it has its number of before, and not what it knew:\n%s", now)
	}

	m3.end()
	testenv.Within(t, time.Minute, "m3 is removed", func() bool {
		for line := range strings.Lines(m1.list(t)) {
			if id, _, its := strings.Cut(line, ", started, m3, "); its {
				m1.ask(t, "member remove "+id)
				return false
			}
		}
		return m1.list(t) != ""
	})
	if err := os.WriteFile(filepath.Join(m3.dir, "told"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m3.begin(t)
	m3.votes(t)
	m3.serves(t, 3)
}

// TestVoterWithoutNetwork: a voter without data does not begin as a new one because its network is not there yet. Where
// the others' etcd does not run it begins at once.
func TestVoterWithoutNetwork(t *testing.T) {
	t.Parallel()
	for others, want := range map[string]string{
		"https://nobody.invalid:2379":                   "existing",
		"https://127.0.0.1:1,https://nobody.invalid:1":  "existing",
		"https://127.0.0.1:1,https://[::ffff:7f00:1]:1": "new",
	} {
		dir := programs(t, map[string]string{
			"etcd": `while [ "$1" != --initial-cluster-state ]; do shift; done; echo "$2" >DIR/began`,
			"etcdctl": `case "$4" in
				list) echo asked >>DIR/asked; [ $(wc -l <DIR/asked) -ge 3 ] || exit 1
					echo '1, started, m1, https://m1:2380, https://m1:2379, false' ;;
				add) echo 'ETCD_INITIAL_CLUSTER="m1=https://m1:2380,m2=https://m2:2380"' ;;
				esac`,
		})
		script := service(t, "etcd.sh", "/var/lib/killr-etcd", dir)
		out, err := run(t, script, dir, []string{"CREDENTIALS_DIRECTORY=" + dir, "OTHERS=" + others, "NAME=m2",
			"PEER=https://m2:2380", "VOTERS=m1=https://m1:2380,m2=https://m2:2380", "CLIENT=-", "LISTEN_PEER=-",
			"LISTEN_CLIENT=-"}, "run")
		if began := strings.TrimSpace(wrote(t, dir, "began")); err != nil || began != want {
			t.Errorf("%s: it began as %q, %v: %s", others, began, err, out)
		}
	}
}
